import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeLoose } from '../../src/database/roll-up.ts';
import { Failure } from '../../src/domain/failure.ts';
import { parseResolution, type Resolution } from '../../src/domain/resolution.ts';
import { type SeriesGroups, takePercentiles } from '../../src/domain/series-groups.ts';
import type { AggregateQuery, Store } from '../../src/domain/store.ts';
import { type Summary, statisticNames } from '../../src/domain/summary.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { type Group, groupObviously, groupsOf } from '../support/group-obviously.ts';
import { packAll } from '../support/packing.ts';
import { anySummary, summaryOf } from '../support/summaries.ts';

const observe = () => undefined;

/** Around changes of clocks: by an hour or half of one, at midnight or across it, of a whole day, and of 44:30 minutes. */
const changes = [
  ['2025-03-30T02:00:00Z', 'Europe/Berlin'],
  ['2025-04-25T00:30:00Z', 'Africa/Cairo'],
  ['2025-04-05T15:10:00Z', 'Australia/Lord_Howe'],
  ['2025-12-31T23:30:00Z', 'UTC'],
  ['2025-10-26T01:30:00Z', 'CET'],
  ['2025-03-30T01:30:00Z', 'WET'],
  ['2025-11-02T05:30:00Z', 'America/Havana'],
  ['2021-10-28T22:30:00Z', 'Asia/Gaza'],
  ['2025-10-26T01:10:00Z', 'Atlantic/Azores'],
  ['2025-03-23T04:30:00Z', 'America/Asuncion'],
  ['2010-11-07T03:00:00Z', 'America/St_Johns'],
  ['2025-06-01T18:20:00Z', 'Asia/Kathmandu'],
  ['2011-12-30T11:00:00Z', 'Pacific/Apia'],
  ['1972-01-07T01:00:00Z', 'Africa/Monrovia'],
] as const;

const anyQuery = fc.record({
  resolution: fc
    .constantFrom('s', '7m', '90m', 'h', '6h', '24h', 'd', 'd', 'd', '2d', 'w', '3w', 'mo', 'y')
    .map((text) => parseResolution(text) as Resolution),
  // Left out: that whose clocks change.
  elsewhere: fc.option(fc.constantFrom('UTC', 'Europe/Berlin', 'Asia/Kolkata'), { nil: undefined }),
});

/** Within an hour or within days; half of them on few buckets, so that ids must decide which is the last. */
const anySummaryNear = (instant: number) =>
  fc
    .tuple(anySummary(instant + 1_800), fc.constantFrom(1, 900), fc.constantFrom(0, 0, 3_600, 40_000, 100_000))
    .map(([summary, step, ago]) => ({ ...summary, bucket: Math.floor((summary.bucket - ago) / step) * step }));

/** Summaries with the databases that hold them: in half of the cases all do, in the others losses are many. */
const anySpread = fc
  .tuple(fc.constantFrom(...changes), fc.constantFrom<number[][][]>([[0, 1, 2]], [[0], [1], [0, 2], [1, 2], [0, 1, 2]]))
  .chain(([[instant, timezone], holdings]) =>
    fc.record({
      instant: fc.constant(Date.parse(instant) / 1000),
      timezone: fc.constant(timezone),
      items: fc.array(
        fc.record({ summary: anySummaryNear(Date.parse(instant) / 1000), holders: fc.constantFrom(...holdings) }),
        { maxLength: 60, size: 'max' },
      ),
    }),
  );

async function createCopies() {
  const urls = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl(), freshDatabaseUrl()]);
  const databases = await Promise.all(urls.map((url) => freshDatabase({ url })));
  const copies = databases.map((database) => createPostgresStore({ database, observe }));
  const store = createRedundantStore({
    databases: copies.map((copy, index) => ({ name: `db${index + 1}`, store: copy })),
    acks: 1,
    writeTimeoutMs: 30_000,
    readTimeoutMs: 30_000,
    observe,
  });
  return { urls, databases, copies, store };
}

function expectSameGroups(found: readonly Group[], expected: readonly Group[]): void {
  const byKey = (a: Group, b: Group) => a.bucket - b.bucket || (a.name < b.name ? -1 : 1);
  const inOrder = found.toSorted(byKey);
  expect(inOrder.map(({ name, bucket }) => [name, bucket])).toEqual(
    expected.toSorted(byKey).map(({ name, bucket }) => [name, bucket]),
  );
  expected.toSorted(byKey).forEach((group, index) => {
    const other = inOrder[index] as Group;
    expect(other.percentiles).toEqual(group.percentiles);
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

/** A range that cuts hours and days anywhere, or takes everything, of an instant that is yet to be told. */
const anyRange = fc.oneof(
  fc.constant(() => ({ from: 0, to: 4e9 })),
  fc
    .tuple(fc.integer({ min: -200_000, max: 10_000 }), fc.integer({ max: 300_000, min: 0 }))
    .map(([offset, length]) => (instant: number) => ({ from: instant + offset, to: instant + offset + length })),
);

/** How many steps of the roll-ups each of the three databases takes before and after the late half of the summaries. */
const [stepsBefore, stepsAfter] = [fc.constantFrom(0, 5, 100, 100), fc.constantFrom(0, 0, 1, 100)];
const anyRollUps = fc.tuple(stepsBefore, stepsBefore, stepsBefore, stepsAfter, stepsAfter, stepsAfter);

/** Forgets everything; the roll-ups are to begin a few days before the instant. */
async function empty(url: URL, instant: number): Promise<void> {
  await runSql(url, 'truncate summaries');
  const text = `update rollup_state
    set closed_to = '-infinity', rolled_to = date_bin('1 day', to_timestamp($1) - interval '4 days', 'epoch')`;
  await runSql(url, text, [instant]);
}

async function rollUp(url: URL, instant: number, steps: number): Promise<void> {
  const text = `
    select roll_up(date_bin('1 hour', to_timestamp($1) + interval '2 days', 'epoch'), 20) from generate_series(1, $2)`;
  await runSql(url, text, [instant, steps]);
}

/** Which of the three databases pack the early half of the summaries, so that the late one comes to packed weeks. */
const anyPacks = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean());

/** Only weeks that are rolled up are packed. */
async function pack(url: URL, instant: number): Promise<void> {
  await rollUp(url, instant + 7 * 86_400, 200);
  await packAll(url);
}

test('gives what the slow, obvious read gives, whatever each database has lost, rolled up or packed', async () => {
  const { urls, databases, copies, store } = await createCopies();
  await fc.assert(
    fc.asyncProperty(
      anySpread,
      anyQuery,
      anyRange,
      anyRollUps,
      anyPacks,
      fc.constantFrom([], [50, 99.9]),
      async ({ instant, items: spread, timezone }, { resolution, elsewhere }, rangeOf, rollUps, packs, percentiles) => {
        await Promise.all(urls.map((url) => empty(url, instant)));
        const unique = [...new Map(spread.map((item) => [item.summary.id, item])).values()];
        const halves = [unique.filter((_, index) => index % 2 === 0), unique.filter((_, index) => index % 2 === 1)];
        for (const [half, items] of halves.entries()) {
          await Promise.all(
            copies.map((copy, index) =>
              copy.write(items.filter(({ holders }) => holders.includes(index)).map(({ summary }) => summary)),
            ),
          );
          await Promise.all(urls.map((url, index) => rollUp(url, instant, rollUps[half * 3 + index] ?? 0)));
          // Those of the third stay as they were put one after another.
          await Promise.all(databases.slice(0, 2).map(mergeLoose));
          if (half === 0) await Promise.all(urls.filter((_, index) => packs[index]).map((url) => pack(url, instant)));
        }
        const grouping = { resolution, timezone: elsewhere ?? timezone };
        const range = rangeOf(instant);
        const query = { namePattern: undefined, namesMax: 1_000, ...range, ...grouping, percentiles };
        const found = await store.aggregate(query);
        expect(found.complete).toBe(true);
        const inRange = unique.filter(({ summary: { bucket } }) => bucket >= range.from && bucket <= range.to);
        const summariesOf = (items: typeof inRange) => items.map(({ summary }) => summary);
        expectSameGroups(await groupsOf(found), oracle(summariesOf(inRange), query));
        // And each by itself, since a wrong roll-up of one shows in its digest and is healed by the others.
        for (const [index, copy] of copies.entries()) {
          const held = summariesOf(inRange.filter(({ holders }) => holders.includes(index)));
          const finish = (series: SeriesGroups) => takePercentiles(series, percentiles);
          expectSameGroups(await groupsOf(await copy.aggregate(query), finish), oracle(held, query));
        }
      },
    ),
    { numRuns: 40 },
  );
}, 240_000);

test('reads no single summary while the databases agree', async () => {
  const { copies, store } = await createCopies();
  const summaries = Array.from({ length: 50 }, (_, index) => summaryOf({ name: `a.${index % 5}` }));
  await Promise.all(copies.map((copy) => copy.write(summaries)));
  const refuse: Pick<Store, 'select' | 'selectSpans'> = {
    select: () => Promise.reject(new Error('read one by one')),
    selectSpans: () => Promise.reject(new Error('read one by one')),
  };
  for (const copy of copies) Object.assign(copy, refuse);
  const found = await store.aggregate({
    namePattern: undefined,
    from: 0,
    to: 4e9,
    resolution: { amount: 1, unit: 'minute' },
    timezone: 'UTC',
    namesMax: 1_000,
  });
  expect((await groupsOf(found)).map(({ summaries: count }) => count)).toEqual([10, 10, 10, 10, 10]);
});

test('refuses more names than were asked for, counting only those that have data in the range', async () => {
  const { store } = await createCopies();
  const at = (name: string, bucket: number) => summaryOf({ name, bucket });
  await store.write(['a', 'b', 'c'].map((name) => at(name, 1_700_000_000)));
  await store.write(['d', 'e', 'f'].map((name) => at(name, 1_710_000_000)));
  await store.drain();
  const query = { namePattern: '^.$', from: 1_690_000_000, to: 1_705_000_000, timezone: 'UTC' };
  const hours = { amount: 1, unit: 'hour' } as const;
  const found = await store.aggregate({ ...query, resolution: hours, namesMax: 3 });
  expect((await groupsOf(found)).map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  const refused = store.aggregate({ ...query, to: 1_720_000_000, resolution: hours, namesMax: 5 });
  await expect(refused).rejects.toMatchObject({ code: 'read_too_large' });
});

test('gives back every connection, whether an answer is taken whole, in part or not at all', async () => {
  const { copies, store } = await createCopies();
  const summaries = Array.from({ length: 40 }, (_, index) => summaryOf({ name: `name.${index}` }));
  await Promise.all(copies.map((copy) => copy.write(summaries)));
  // So wide a range that a page holds one series.
  const query: AggregateQuery = {
    namePattern: undefined,
    from: 0,
    to: 4e9,
    resolution: { amount: 1, unit: 'second' },
    timezone: 'UTC',
    namesMax: 100,
  };
  for (let read = 0; read < 12; read += 1) {
    const { pages, close } = await store.aggregate(query);
    let taken = 0;
    if (read % 3 > 0) {
      for await (const page of pages) {
        taken += page.length;
        if (read % 3 === 1 && taken > 5) break;
      }
    }
    await close();
    if (read % 3 === 2) expect(taken).toBe(40);
  }
});

test('goes on without a database that fails in the middle of an answer of which nothing has been said yet', async () => {
  const { copies, store } = await createCopies();
  const summaries = Array.from({ length: 40 }, (_, index) => summaryOf({ name: `name.${index}` }));
  await Promise.all(copies.map((copy) => copy.write(summaries)));
  const [, second] = copies;
  const aggregate = second?.aggregate;
  if (!second || !aggregate) throw new Error('BUG: three copies were made');
  Object.assign(second, {
    async aggregate(query: AggregateQuery) {
      const found = await aggregate.call(second, query);
      const pages = (async function* () {
        let given = 0;
        for await (const page of found.pages) {
          given += 1;
          if (given === 5) throw new Failure('unreachable', 'cannot be reached');
          yield page;
        }
      })();
      return { ...found, pages };
    },
  });
  const found = await store.aggregate({
    namePattern: undefined,
    from: 0,
    to: 4e9,
    resolution: { amount: 1, unit: 'second' },
    timezone: 'UTC',
    namesMax: 100,
  });
  expect(found).toMatchObject({ complete: false });
  expect(found.outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'unreachable', 'ok']);
  expect(await groupsOf(found)).toHaveLength(40);
});
