import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseResolution, type Resolution } from '../../src/domain/resolution.ts';
import type { AggregateQuery, Group, Store } from '../../src/domain/store.ts';
import { type Summary, statisticNames } from '../../src/domain/summary.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { groupObviously } from '../support/group-obviously.ts';
import { anySummary, summaryOf } from '../support/summaries.ts';

const observe = () => undefined;

/** Around changes of clocks in Berlin, Cairo and Lord Howe, whose shift is half an hour. */
const instants = ['2025-03-30T02:00:00Z', '2025-04-25T00:30:00Z', '2025-04-05T15:10:00Z', '2025-12-31T23:30:00Z'];

const anyQuery = fc.record({
  resolution: fc
    .constantFrom('s', 'm', '7m', '15m', 'h', '6h', 'd', '2d', 'w', '3w', 'mo', 'y')
    .map((text) => parseResolution(text) as Resolution),
  timezone: fc.constantFrom('UTC', 'Europe/Berlin', 'Africa/Cairo', 'Australia/Lord_Howe', 'Asia/Kolkata'),
});

/** Half of them on few buckets, so that ids must decide which is the last. */
const anySummaryNear = (instant: number) =>
  fc
    .tuple(anySummary(instant + 1_800), fc.constantFrom(1, 900))
    .map(([summary, step]) => ({ ...summary, bucket: Math.floor(summary.bucket / step) * step }));

/** Summaries with the databases that hold them: in half of the cases all do, in the others losses are many. */
const anySpread = fc
  .tuple(
    fc.constantFrom(...instants),
    fc.constantFrom<number[][][]>([[0, 1, 2]], [[0], [1], [0, 2], [1, 2], [0, 1, 2]]),
  )
  .chain(([instant, holdings]) =>
    fc.array(
      fc.record({ summary: anySummaryNear(Date.parse(instant) / 1000), holders: fc.constantFrom(...holdings) }),
      { maxLength: 60 },
    ),
  );

async function createCopies() {
  const urls = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl(), freshDatabaseUrl()]);
  const databases = await Promise.all(urls.map((url) => freshDatabase({ url })));
  const copies = databases.map((database) => createPostgresStore({ database, observe }));
  const store = createRedundantStore({
    databases: copies.map((copy, index) => ({ name: `db${index + 1}`, store: copy })),
    acks: 1,
    writeTimeoutMs: 5_000,
    readTimeoutMs: 5_000,
    observe,
  });
  return { urls, copies, store };
}

function expectSameGroups(found: readonly Group[], expected: readonly Group[]): void {
  const byKey = (a: Group, b: Group) => a.bucket - b.bucket || (a.name < b.name ? -1 : 1);
  const inOrder = found.toSorted(byKey);
  expect(inOrder.map(({ name, bucket }) => [name, bucket])).toEqual(
    expected.toSorted(byKey).map(({ name, bucket }) => [name, bucket]),
  );
  expected.toSorted(byKey).forEach((group, index) => {
    const other = inOrder[index] as Group;
    for (const statistic of statisticNames) {
      // Sums in another order differ in their last bits; means that cancel each other out, by those of the largest.
      if (statistic === 'count') expect(other.count).toBeCloseTo(group.count, 3);
      else if (statistic === 'mean') {
        const scale = Math.max(Math.abs(group.min), Math.abs(group.max), 1e-290, magnitudeOf(group));
        expect(Math.abs(other.mean - group.mean) / scale).toBeLessThan(1e-12);
      } else expect(other[statistic]).toBe(group[statistic]);
    }
  });
}

const magnitudes = new WeakMap<Group, number>();
const magnitudeOf = (group: Group) => magnitudes.get(group) ?? 0;

/** Remembers of each group the largest mean that went into it: the scale of its rounding errors. */
function oracle(summaries: readonly Summary[], query: AggregateQuery): Group[] {
  const groups = groupObviously(summaries, query);
  for (const group of groups) {
    const members = summaries.filter(({ name }) => name === group.name);
    magnitudes.set(group, Math.max(...members.map(({ mean }) => Math.abs(mean))));
  }
  return groups;
}

test('gives what the slow, obvious read gives, whatever each database has lost', async () => {
  const { urls, copies, store } = await createCopies();
  await fc.assert(
    fc.asyncProperty(anySpread, anyQuery, async (spread, grouping) => {
      await Promise.all(urls.map((url) => runSql(url, 'truncate summaries')));
      const unique = [...new Map(spread.map((item) => [item.summary.id, item])).values()];
      await Promise.all(
        copies.map((copy, index) =>
          copy.write(unique.filter(({ holders }) => holders.includes(index)).map(({ summary }) => summary)),
        ),
      );
      const query = { namePattern: undefined, from: 0, to: 4e9, ...grouping };
      const { groups, complete } = await store.aggregate(query);
      expect(complete).toBe(true);
      expectSameGroups(
        groups,
        oracle(
          unique.map(({ summary }) => summary),
          query,
        ),
      );
    }),
    { numRuns: 60 },
  );
}, 120_000);

test('reads no single summary while the databases agree', async () => {
  const { copies, store } = await createCopies();
  const summaries = Array.from({ length: 50 }, (_, index) => summaryOf({ name: `a.${index % 5}` }));
  await Promise.all(copies.map((copy) => copy.write(summaries)));
  const refuse: Pick<Store, 'select' | 'selectSpans'> = {
    select: () => Promise.reject(new Error('read one by one')),
    selectSpans: () => Promise.reject(new Error('read one by one')),
  };
  for (const copy of copies) Object.assign(copy, refuse);
  const { groups } = await store.aggregate({
    namePattern: undefined,
    from: 0,
    to: 4e9,
    resolution: { amount: 1, unit: 'minute' },
    timezone: 'UTC',
  });
  expect(groups.map(({ digest }) => digest.count)).toEqual([10, 10, 10, 10, 10]);
});
