import { compareBytes } from '../../src/domain/compare-bytes.ts';
import { Failure } from '../../src/domain/failure.ts';
import type { Completeness, Span, Store } from '../../src/domain/store.ts';
import type { Summary } from '../../src/domain/summary.ts';
import { aggregateObviously } from './group-obviously.ts';

/** A store in memory: the fake that tests of HTTP use. It passes the same contract as the real ones. */
export interface MemoryStore extends Store {
  /** Everything stored, by id. */
  readonly summaries: ReadonlyMap<string, Summary>;
  /** How often each call was made. */
  readonly calls: { write: number; read: number };
  /** Makes every call reject with this, until it is set to undefined. */
  failure: Error | undefined;
}

const complete: Completeness = { outcomes: [{ database: 'db1', outcome: 'ok' }], complete: true };

export function createMemoryStore(): MemoryStore {
  const summaries = new Map<string, Summary>();
  const store: MemoryStore = {
    summaries,
    calls: { write: 0, read: 0 },
    failure: undefined,
    async write(given) {
      store.calls.write += 1;
      if (store.failure) throw store.failure;
      for (const summary of given) if (!summaries.has(summary.id)) summaries.set(summary.id, summary);
      return { copies: 1, databases: 1 };
    },
    async select({ namePattern, from, to }) {
      store.calls.read += 1;
      if (store.failure) throw store.failure;
      // JavaScript's expressions agree with PostgreSQL's on the simple patterns that tests of the contract use.
      const pattern = compile(namePattern ?? '');
      const found = [...summaries.values()].filter(
        ({ name, bucket }) => pattern.test(name) && bucket >= from && bucket <= to,
      );
      return { ...complete, summaries: found };
    },
    async selectSpans(spans) {
      store.calls.read += 1;
      if (store.failure) throw store.failure;
      const isWithin = (span: Span, { name, bucket }: Summary) =>
        name === span.name && bucket >= span.from && bucket <= span.to;
      const found = [...summaries.values()].filter((summary) => spans.some((span) => isWithin(span, summary)));
      return { ...complete, summaries: found };
    },
    async aggregate(query) {
      const { summaries: found } = await store.select(query);
      return { ...complete, ...aggregateObviously(found, query) };
    },
    async names({ namePattern, from, limit }) {
      const { summaries: found } = await store.select({ namePattern, from, to: Number.POSITIVE_INFINITY });
      const byName = [...Map.groupBy(found, ({ name }) => name)].toSorted(([a], [b]) => compareBytes(a, b));
      const names = byName.map(([name, ofName]) => {
        const buckets = ofName.map(({ bucket }) => bucket);
        const units = ofName.find((summary) => summary.units !== undefined)?.units ?? null;
        return { name, units, first: Math.min(...buckets), last: Math.max(...buckets) };
      });
      return { ...complete, names: names.slice(0, limit), more: names.length > limit };
    },
    async units(names) {
      if (store.failure) throw store.failure;
      const wanted = new Set(names);
      const known = [...summaries.values()].flatMap(({ name, units }) =>
        units !== undefined && wanted.has(name) ? [[name, units] as const] : [],
      );
      return new Map(known);
    },
    async drain() {},
  };
  return store;
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (cause) {
    throw new Failure('invalid_pattern', 'not a regular expression', { cause });
  }
}
