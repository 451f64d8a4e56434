import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import type { NamesQuery, Store } from '../../src/domain/store.ts';
import { namesStatement } from '../../src/store/names-statement.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { day, monday, packAll, preparePacked, preparePacking, week, whereTheyAre } from '../support/packing.ts';
import { anySummary, summaryOf } from '../support/summaries.ts';

const observe = () => undefined;
const all = { namePattern: undefined, from: 0, limit: 1_000 };
const now = Math.floor(Date.now() / 60_000) * 60;

async function freshStore(): Promise<Store> {
  return createPostgresStore({ database: await freshDatabase(), observe });
}

function redundant(stores: readonly Store[]): Store {
  const databases = stores.map((store, index) => ({ name: `db${index + 1}`, store }));
  return createRedundantStore({ databases, acks: 1, writeTimeoutMs: 5_000, readTimeoutMs: 5_000, observe });
}

const spansOf = async (store: Store, query: Partial<NamesQuery> = {}) =>
  (await store.names({ ...all, ...query })).names.map(({ name, first, last }) => [name, first, last]);

describe.each<[string, () => Promise<Store> | Store]>([
  ['the fake in memory', createMemoryStore],
  ['one database', freshStore],
  ['two databases', async () => redundant(await Promise.all([freshStore(), freshStore()]))],
])('the names of %s', (_, createStore) => {
  test('are those that match, by their bytes, with the first and the last bucket', async () => {
    const store = await createStore();
    await store.write(
      ['b', 'a.b', '😀b', '\uFB00b', 'c'].flatMap((name) => [
        summaryOf({ name, bucket: now - 3 * week }),
        summaryOf({ name, bucket: now - 60 }),
        summaryOf({ name, bucket: now - 9 * week + 0.5 }),
      ]),
    );
    const ends = [now - 9 * week + 0.5, now - 60] as const;
    expect(await spansOf(store, { namePattern: 'b' })).toEqual([
      ['a.b', ...ends],
      ['b', ...ends],
      ['\uFB00b', ...ends],
      ['😀b', ...ends],
    ]);
    expect((await store.names(all)).names[0]?.units).toBeNull();
  });

  test('are as many as the limit says, and it is said whether there are more', async () => {
    const store = await createStore();
    await store.write(['d', 'b', 'c', 'a'].map((name) => summaryOf({ name })));
    const found = async (limit: number) => {
      const { names, more } = await store.names({ ...all, limit });
      return [names.map(({ name }) => name).join(''), more];
    };
    expect(await found(3)).toEqual(['abc', true]);
    expect(await found(4)).toEqual(['abcd', false]);
  });

  test('leave out what is before the given time', async () => {
    const store = await createStore();
    await store.write([
      summaryOf({ name: 'old', bucket: now - 2 * week }),
      summaryOf({ name: 'both', bucket: now - 2 * week }),
      summaryOf({ name: 'both', bucket: now - day }),
    ]);
    expect(await spansOf(store, { from: now - week })).toEqual([['both', now - day, now - day]]);
  });
});

test('agree with what all the summaries say, whichever database holds them', async () => {
  const stores = await Promise.all([freshStore(), freshStore()]);
  const memory = createMemoryStore();
  const store = redundant(stores);
  const batches = fc.array(fc.tuple(anySummary(now), fc.constantFrom(...stores)), { minLength: 1, maxLength: 8 });
  const queries = fc.record({
    namePattern: fc.constantFrom(undefined, 'b', '^a'),
    from: fc.constantFrom(0, now - 1_800, now - 600),
    limit: fc.integer({ min: 1, max: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(batches, queries, async (batch, query) => {
      for (const [summary, into] of batch) await Promise.all([into.write([summary]), memory.write([summary])]);
      const { names, more } = await store.names(query);
      const expected = await memory.names(query);
      expect({ names, more }).toEqual({ names: expected.names, more: expected.more });
    }),
    { numRuns: 40 },
  );
});

test('a name is found that only one database has, and a database that does not answer is named', async () => {
  const [one, other] = [await freshStore(), await freshStore()];
  await one.write([summaryOf({ name: 'one', bucket: now - 60 }), summaryOf({ name: 'both', bucket: now - 120 })]);
  await other.write([summaryOf({ name: 'other', bucket: now }), summaryOf({ name: 'both', bucket: now })]);
  expect(await redundant([one, other]).names(all)).toEqual({
    names: [
      { name: 'both', units: null, first: now - 120, last: now },
      { name: 'one', units: null, first: now - 60, last: now - 60 },
      { name: 'other', units: null, first: now, last: now },
    ],
    more: false,
    outcomes: [
      { database: 'db1', outcome: 'ok' },
      { database: 'db2', outcome: 'ok' },
    ],
    complete: true,
  });
  const down: Store = { ...other, names: () => Promise.reject(new Failure('unreachable', 'cannot be reached')) };
  const partial = await redundant([one, down]).names(all);
  expect(partial.names.map(({ name }) => name)).toEqual(['both', 'one']);
  expect([partial.complete, partial.outcomes[1]?.outcome]).toEqual([false, 'unreachable']);
});

test('a pattern that PostgreSQL does not understand is refused by name', async () => {
  const query = { ...all, namePattern: '(' };
  await expect((await freshStore()).names(query)).rejects.toMatchObject({ code: 'invalid_pattern' });
});

test('a name whose summaries are gone is left out', async () => {
  const url = await freshDatabaseUrl();
  const store = createPostgresStore({ database: await freshDatabase({ url }), observe });
  await store.write([summaryOf({ name: 'gone' }), summaryOf({ name: 'here' })]);
  await runSql(url, `delete from summaries using series where series.id = series_id and name = 'gone'`);
  expect((await store.names(all)).names.map(({ name }) => name)).toEqual(['here']);
});

describe('packed summaries', () => {
  const packed = (buckets: readonly number[]) => buckets.map((bucket) => summaryOf({ name: 'a', bucket }));

  test('count as rows do, together with them', async () => {
    const { store } = await preparePacked(packed([monday + 60, monday + 600, monday + day]));
    expect(await spansOf(store)).toEqual([['a', monday + 60, monday + day]]);
    await store.write([summaryOf({ name: 'a', bucket: now }), summaryOf({ name: 'b', bucket: now })]);
    expect(await spansOf(store)).toEqual([
      ['a', monday + 60, now],
      ['b', now, now],
    ]);
  });

  test('are cut where the given time lies within a chunk', async () => {
    const { store } = await preparePacked(packed([monday, monday + 600, monday + 3_000, monday + 3_001]));
    expect(await spansOf(store, { from: monday + 601 })).toEqual([['a', monday + 3_000, monday + 3_001]]);
    expect(await spansOf(store, { from: monday + 3_001 })).toEqual([['a', monday + 3_001, monday + 3_001]]);
    expect(await spansOf(store, { from: monday + 3_002 })).toEqual([]);
  });

  test('are found also where a late chunk begins before all others', async () => {
    const { store, url, rollUp } = await preparePacking();
    await store.write(packed([monday + 6_000, monday + 12_000]));
    await rollUp();
    await packAll(url);
    await store.write(packed([monday + 60, monday + 3 * day]));
    await rollUp();
    await packAll(url);
    expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: 4 });
    expect(await spansOf(store)).toEqual([['a', monday + 60, monday + 3 * day]]);
  });
});

test('no more of the summaries is read than their ends', async () => {
  const url = await freshDatabaseUrl();
  const store = createPostgresStore({ database: await freshDatabase({ url }), observe });
  await store.write([now, now - week, now - 2 * week].map((bucket) => summaryOf({ bucket })));
  await runSql(
    url,
    `insert into summaries select series_id, bucket + n * interval '1 second', gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1
     from summaries, generate_series(1, 20000) as n where bucket < to_timestamp($1)`,
    [now - 60],
  );
  await runSql(url, 'analyze summaries');
  const { text, values = [] } = namesStatement(all);
  const explained = await runSql(url, `explain (analyze, buffers, format json) ${text}`, [...values]);
  const [{ Plan: plan } = { Plan: {} }] = (explained[0]?.['QUERY PLAN'] ?? []) as { Plan: Record<string, number> }[];
  const blocks = (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0);
  expect(blocks).toBeGreaterThan(0);
  // Of some 800.
  expect(blocks).toBeLessThan(40);
});
