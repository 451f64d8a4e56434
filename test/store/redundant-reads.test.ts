import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { DatabaseError } from 'pg';
import { describe, expect, test } from 'vitest';
import { Failure, type FailureCode } from '../../src/domain/failure.ts';
import type { Observation } from '../../src/domain/observation.ts';
import type { Store } from '../../src/domain/store.ts';
import { createRedundantStore, type RedundantStoreOptions } from '../../src/store/redundant-store.ts';
import { groupsOf } from '../support/group-obviously.ts';
import { createHeldStore } from '../support/held-store.ts';
import { createMemoryStore, type MemoryStore } from '../support/memory-store.ts';
import { summaryOf } from '../support/summaries.ts';

/** Longer than a test may take: whoever waits for it fails. */
const never = 600_000;

const readAll = (store: Store) => store.select({ namePattern: undefined, from: 0, to: 4e9 });

function redundant(stores: readonly Store[], options: Partial<RedundantStoreOptions> = {}): Store {
  return createRedundantStore({
    databases: stores.map((store, index) => ({ name: `db${index + 1}`, store })),
    acks: 1,
    writeTimeoutMs: never,
    readTimeoutMs: never,
    observe: () => undefined,
    ...options,
  });
}

function failing(code: FailureCode): MemoryStore {
  const store = createMemoryStore();
  store.failure = new Failure(code, `failed by ${code}`);
  return store;
}

test('waits for every database, although enough have answered for a complete result', async () => {
  const slow = createHeldStore();
  const summary = summaryOf();
  await slow.memory.write([summary]);
  const reading = readAll(redundant([createMemoryStore(), slow.store], { acks: 2 }));
  expect(await Promise.race([reading, sleep(50, 'still waiting')])).toBe('still waiting');
  slow.release();
  expect((await reading).summaries).toEqual([summary]);
});

test('asks every database at once', async () => {
  const databases = [createMemoryStore(), createMemoryStore(), createMemoryStore()];
  const reading = readAll(redundant(databases));
  expect(databases.map(({ calls }) => calls.read)).toEqual([1, 1, 1]);
  await reading;
});

test('counts every id once, whichever databases hold it', async () => {
  const summaries = Array.from({ length: 12 }, (_, index) => summaryOf({ name: `metric.${index}` }));
  const subsets = fc.array(fc.subarray(summaries), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(subsets, async (held) => {
      const databases = held.map(() => createMemoryStore());
      await Promise.all(databases.map((database, index) => database.write(held[index] ?? [])));
      const found = (await readAll(redundant(databases))).summaries.map(({ id }) => id);
      const expected = new Set(held.flat().map(({ id }) => id));
      expect(found).toHaveLength(expected.size);
      expect(new Set(found)).toEqual(expected);
    }),
  );
});

test('leaves out a database that fails and one that is too slow, and names both', async () => {
  const observations: Observation[] = [];
  const [answering, slow] = [createMemoryStore(), createHeldStore()];
  const summary = summaryOf();
  await answering.write([summary]);
  await slow.memory.write([summaryOf()]);
  const store = redundant([failing('unreachable'), answering, slow.store], {
    readTimeoutMs: 50,
    observe: (observation) => observations.push(observation),
  });
  expect(await readAll(store)).toEqual({
    summaries: [summary],
    outcomes: [
      { database: 'db1', outcome: 'unreachable' },
      { database: 'db2', outcome: 'ok' },
      { database: 'db3', outcome: 'timeout' },
    ],
    complete: false,
  });
  const failed = observations.filter((observation) => observation.type === 'read_failed');
  expect(failed.map(({ database, failure }) => [database, failure.code])).toEqual([
    ['db1', 'unreachable'],
    ['db3', 'timeout'],
  ]);
});

describe('is complete if and only if N - W + 1 of N databases answered', () => {
  const cases = [1, 2, 3, 4].flatMap((databases) =>
    Array.from({ length: databases }, (_, index) => ({ databases, acks: index + 1 })),
  );
  test.each(cases)('N = $databases, W = $acks', async ({ databases, acks }) => {
    for (let answering = 1; answering <= databases; answering += 1) {
      const stores = Array.from({ length: databases }, (_, index) =>
        index < answering ? createMemoryStore() : failing('timeout'),
      );
      const { complete } = await readAll(redundant(stores.toReversed(), { acks }));
      expect({ answering, complete }).toEqual({ answering, complete: answering >= databases - acks + 1 });
    }
  });
});

test('misses no acknowledged summary whenever it says that it is complete', async () => {
  /** Who is down during each write, and who during the read, of up to four databases. */
  const history = fc.integer({ min: 1, max: 4 }).chain((databases) =>
    fc.record({
      acks: fc.integer({ min: 1, max: databases }),
      outages: fc.array(fc.array(fc.boolean(), { minLength: databases, maxLength: databases }), { maxLength: 8 }),
      lastOutage: fc.array(fc.boolean(), { minLength: databases, maxLength: databases }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(history, async ({ acks, outages, lastOutage }) => {
      const databases = lastOutage.map(() => createMemoryStore());
      const suffer = (outage: readonly boolean[]) => {
        for (const [index, database] of databases.entries()) {
          database.failure = outage[index] ? new Failure('unreachable', 'cannot be reached') : undefined;
        }
      };
      const store = redundant(databases, { acks });
      const acknowledged: string[] = [];
      for (const outage of outages) {
        suffer(outage);
        const summary = summaryOf();
        await store.write([summary]).then(
          () => acknowledged.push(summary.id),
          () => undefined,
        );
        await store.drain();
      }
      suffer(lastOutage);
      const result = await readAll(store).catch(() => undefined);
      if (!result?.complete) return;
      expect(result.summaries.map(({ id }) => id)).toEqual(expect.arrayContaining(acknowledged));
    }),
    { numRuns: 300 },
  );
});

/** The count of the whole, as one group. */
const aggregateAll = (store: Store) =>
  store.aggregate({
    namePattern: undefined,
    from: 0,
    to: 4e9,
    resolution: { amount: 1, unit: 'year' },
    timezone: 'UTC',
    namesMax: 10,
  });

describe('a read that compares copies', () => {
  test('is not complete when a database fails while what differs is read', async () => {
    const databases = [createMemoryStore(), createMemoryStore(), createMemoryStore()];
    const [a, b, c] = databases as [MemoryStore, MemoryStore, MemoryStore];
    const [one, two] = [summaryOf({ name: 'a' }), summaryOf({ name: 'a' })];
    await Promise.all([a.write([one]), b.write([one]), c.write([one, two])]);
    const failsThen = { ...c, selectSpans: () => Promise.reject(new Failure('unreachable', 'cannot be reached')) };
    const found = await aggregateAll(redundant([a, b, failsThen]));
    expect(found).toMatchObject({ complete: false });
    expect(found.outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'unreachable']);
    expect((await groupsOf(found)).map(({ summaries }) => summaries)).toEqual([1]);
  });

  test('takes no more of a database than its time, in however many steps', async () => {
    const databases = [createMemoryStore(), createMemoryStore()];
    const [a, b] = databases as [MemoryStore, MemoryStore];
    await Promise.all([a.write([summaryOf({ name: 'a' })]), b.write([summaryOf({ name: 'a' })])]);
    const slow = (store: MemoryStore, ms: number): Store => ({
      ...store,
      aggregate: (query) => sleep(ms).then(() => store.aggregate(query)),
      selectSpans: (spans) => sleep(ms).then(() => store.selectSpans(spans)),
    });
    const times = { readTimeoutMs: 3_500 };
    const reading = aggregateAll(redundant([slow(a, 2_000), slow(b, 2_000)], times));
    await expect(reading).rejects.toMatchObject({ code: 'read_too_slow' });
    const flagged = await aggregateAll(redundant([slow(a, 0), slow(b, 2_000)], times));
    expect(flagged.outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'timeout']);
  });
});

test('rejects with read_too_slow when those that can be reached gave it up', async () => {
  const gaveUp = failing('timeout');
  const cause = Object.assign(new DatabaseError('canceling statement due to statement timeout', 1, 'error'), {
    code: '57014',
  });
  gaveUp.failure = new Failure('timeout', 'did not answer in time', { cause });
  await expect(readAll(redundant([gaveUp, failing('unreachable')]))).rejects.toMatchObject({ code: 'read_too_slow' });
});

test('rejects with read_refused when no database can compute it, which to ask again would not mend', async () => {
  const reading = readAll(redundant([failing('data_refused'), failing('unreachable')]));
  await expect(reading).rejects.toMatchObject({
    code: 'read_refused',
    message: expect.stringContaining('finer resolution'),
  });
});

test('rejects with no_database when none answers', async () => {
  const slow = createHeldStore();
  const store = redundant([failing('unreachable'), slow.store], { readTimeoutMs: 50 });
  await expect(readAll(store)).rejects.toMatchObject({ code: 'no_database' });
});

test.each(['invalid_pattern', 'read_too_large'] as const)(
  'rejects with %s as the query is at fault, whoever else is down, and blames no database',
  async (code) => {
    const observations: Observation[] = [];
    const store = redundant([failing('unreachable'), failing(code), createMemoryStore()], {
      observe: (observation) => observations.push(observation),
    });
    await expect(readAll(store)).rejects.toMatchObject({ code });
    const failed = observations.filter((observation) => observation.type === 'read_failed');
    expect(failed.map(({ database }) => database)).toEqual(['db1']);
  },
);
