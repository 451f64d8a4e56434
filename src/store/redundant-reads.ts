/**
 * The reading half of the redundant store: ask every database at once, wait for all, and make one answer of theirs.
 */
import { Failure, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Aggregation, Completeness, Selection, Store } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';
import { reconcileGroups } from './reconcile-groups.ts';
import { withTimeout } from './with-timeout.ts';

/** One of the databases of a redundant store. */
export interface NamedStore {
  readonly name: string;
  readonly store: Store;
}

export interface RedundantReadsOptions {
  readonly databases: readonly NamedStore[];
  readonly acks: number;
  readonly readTimeoutMs: number;
  readonly observe: Observe;
}

/** Those who answered, in their order, and why the others did not. */
interface Answers<Value> {
  readonly given: readonly { readonly database: NamedStore; readonly value: Value }[];
  readonly failed: ReadonlyMap<string, Failure>;
}

/** What of a store reads. */
export type RedundantReads = Pick<Store, 'select' | 'selectSpans' | 'aggregate'>;

/** Creates the reading half of a redundant store; `redundant-store.ts` says what it promises. */
export function createRedundantReads(options: RedundantReadsOptions): RedundantReads {
  const { databases, acks } = options;

  const completeness = (failed: ReadonlyMap<string, Failure>): Completeness => ({
    outcomes: databases.map(({ name }) => ({ database: name, outcome: failed.get(name)?.code ?? 'ok' })),
    complete: databases.length - failed.size >= databases.length - acks + 1,
  });

  const selectBy = async (read: (store: Store) => Promise<Selection>): Promise<Selection> => {
    const { given, failed } = await ask(databases, read, options);
    return { ...completeness(failed), summaries: unionById(given.map(({ value }) => value)) };
  };

  return {
    select: (query) => selectBy((store) => store.select(query)),
    selectSpans: (spans) => selectBy((store) => store.selectSpans(spans)),

    async aggregate(query): Promise<Aggregation> {
      let { given, failed } = await ask(databases, (store) => store.aggregate(query), options);
      // A database that fails while the differences are read is left out as if it had not answered at all.
      for (;;) {
        const failedNow = new Map<string, Failure>();
        const asked = given.map(({ database }) => database);
        const answers = given.map(({ value }) => value.groups);
        const groups = await reconcileGroups(answers, query, async (spans) => {
          const details = await ask(asked, (store) => store.selectSpans(spans), options);
          for (const [name, failure] of details.failed) failedNow.set(name, failure);
          return unionById(details.given.map(({ value }) => value));
        });
        failed = new Map([...failed, ...failedNow]);
        if (failedNow.size === 0) return { ...completeness(failed), groups };
        given = given.filter(({ database }) => !failedNow.has(database.name));
      }
    },
  };
}

/**
 * Asks databases all at once and waits for all of them, each up to the time limit.
 *
 * @throws Failure when the query is at fault, or `no_database` when none answers.
 */
async function ask<Value>(
  asked: readonly NamedStore[],
  read: (store: Store) => Promise<Value>,
  options: RedundantReadsOptions,
): Promise<Answers<Value>> {
  const failed = new Map<string, Failure>();
  const answers = await Promise.all(
    asked.map(async (database) => {
      try {
        return [{ database, value: await readFrom(database, read, options) }];
      } catch (error) {
        failed.set(database.name, toFailure(error));
        return [];
      }
    }),
  );
  const failures = [...failed.values()];
  const aboutQuery = failures.find(isAboutQuery);
  if (aboutQuery) throw aboutQuery;
  if (failures.length === asked.length) throw new Failure('no_database', 'no database answered', { cause: failures });
  return { given: answers.flat(), failed };
}

async function readFrom<Value>(
  { name, store }: NamedStore,
  read: (store: Store) => Promise<Value>,
  { readTimeoutMs, observe }: RedundantReadsOptions,
): Promise<Value> {
  const begun = performance.now();
  try {
    const value = await withTimeout(read(store), readTimeoutMs);
    observe({ type: 'read_done', database: name, durationMs: performance.now() - begun });
    return value;
  } catch (error) {
    const failure = toFailure(error);
    if (!isAboutQuery(failure)) observe({ type: 'read_failed', database: name, failure });
    throw failure;
  }
}

/** Failures that every database would repeat: the query is at fault. */
function isAboutQuery({ code }: Failure): boolean {
  return code === 'invalid_pattern' || code === 'read_too_large';
}

function unionById(selections: readonly Selection[]): Summary[] {
  const byId = new Map<string, Summary>();
  for (const { summaries } of selections) for (const summary of summaries) byId.set(summary.id, summary);
  return [...byId.values()];
}
