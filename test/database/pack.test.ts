import fc from 'fast-check';
import { v7 } from 'uuid';
import { expect, test } from 'vitest';
import { runSql } from '../support/fresh-database.ts';
import {
  bitsOf,
  minutes,
  monday,
  mondayText,
  packAll,
  packStep,
  packWhile,
  partition,
  preparePacked,
  preparePacking,
  week,
  whereTheyAre,
} from '../support/packing.ts';
import { summaryOf } from '../support/summaries.ts';

const edges = [
  0,
  -0,
  5e-324,
  -5e-324,
  1e300,
  -1e300,
  0.1 + 0.2,
  4.25,
  112.07,
  32_767,
  -32_768,
  2 ** 31,
  1e-6,
  2147.483648,
];
const anyDouble = fc.oneof(
  fc.constantFrom(...edges),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer().map((value) => value / 100),
);

/** A column in which one number decides about the form of all. */
const anyColumn = fc.oneof(
  fc.constantFrom(...edges).map((value) => fc.constant(value)),
  fc
    .constantFrom(1, 10, 1_000, 1e6)
    .map((scale) => fc.integer({ min: -40_000, max: 40_000 }).map((value) => value / scale)),
  fc.constant(anyDouble),
);

const anyBucket = fc.oneof(
  fc.nat(9).map((index) => index * 60),
  fc.nat(week * 1e6 - 1).map((ticks) => ticks / 1e6),
);

const anySummaries = fc
  .tuple(anyColumn, anyColumn, fc.oneof(fc.constant(fc.nat(100)), fc.constant(fc.nat(2 ** 53 - 1)), anyColumn))
  .chain(([some, others, counts]) => {
    const statistics = {
      count: counts,
      mean: anyDouble,
      median: some,
      min: some,
      max: others,
      perc95: others,
      perc99: others,
      last: some,
    };
    const place = { name: fc.constantFrom('a', 'b'), bucket: anyBucket, id: fc.uuid({ version: 7 }) };
    return fc.array(fc.record({ ...place, ...statistics }), { minLength: 1, maxLength: 30 });
  });

test('gives back every double, id and bucket bit for bit, packed and unpacked again', async () => {
  const { url, store, rollUp } = await preparePacking();
  await fc.assert(
    fc.asyncProperty(anySummaries, async (summaries) => {
      await runSql(url, 'truncate summaries');
      await store.write(summaries.map((summary) => ({ ...summary, bucket: monday + summary.bucket })));
      const before = await bitsOf(url);
      await rollUp();
      await packAll(url);
      const { rows, packed } = await whereTheyAre(url);
      expect([rows, packed]).toEqual([0, before.length]);
      expect(await bitsOf(url)).toEqual(before);
      await runSql(url, 'select unpack_week($1)', [mondayText]);
      expect(await whereTheyAre(url)).toEqual({ rows: before.length, packed: 0 });
      expect(await bitsOf(url)).toEqual(before);
    }),
    { numRuns: 40 },
  );
}, 120_000);

test('gives back a chunk in part, whichever part, and one that is longer than a day of minutes', async () => {
  const summaries = [...minutes(1_500), ...Array.from({ length: 5 }, () => summaryOf({ name: 'b', bucket: monday }))];
  const { store } = await preparePacked(summaries);
  for (const [from, to] of [
    [0, 0],
    [59, 61],
    [3_600, 7_199.5],
    [86_340, 86_460],
    [1e6, 2e6],
  ] as const) {
    const range = { from: monday + from, to: monday + to };
    const found = await store.select({ namePattern: undefined, ...range });
    const expected = summaries.filter(({ bucket }) => bucket >= range.from && bucket <= range.to);
    expect(found.summaries.map(({ id }) => id).toSorted()).toEqual(expected.map(({ id }) => id).toSorted());
  }
});

test('counts a summary once that is sent again to a packed week, and one that is new', async () => {
  const summaries = minutes(30);
  const { url, store } = await preparePacked(summaries);
  const late = summaryOf({ name: 'a', bucket: monday + 60 });
  const twin = { ...late, id: v7() };
  // Also within a batch that needs a name, so that it is tried again, and after a conflict.
  await store.write([...summaries.slice(0, 10), late, summaryOf({ name: 'new' })]);
  await Promise.all([store.write([late, ...summaries]), store.write([late, twin, ...summaries.slice(5)])]);
  expect(await whereTheyAre(url)).toEqual({ rows: 3, packed: summaries.length });
  expect((await store.select({ namePattern: '^[ab]$', from: 0, to: 4e9 })).summaries).toHaveLength(
    summaries.length + 2,
  );
});

test('reads what comes late along, keeps the roll-ups right, and packs it too when it is quiet again', async () => {
  const { url, store, rollUp } = await preparePacked(minutes(30));
  await store.write(minutes(20, 30));
  const digest = `select count(*)::int as summaries, bit_xor(uuid_hash_extended(id, 0)) as hash from (
    select id from summaries union all select packed.id from series
    cross join lateral packed_between(series.id, to_timestamp(0), to_timestamp(4e9)) as packed) as stored`;
  const rolledUp = 'select sum(summaries)::int as summaries, bit_xor(hash) as hash from ';
  const before = await bitsOf(url);
  await rollUp();
  expect(await runSql(url, `${rolledUp} hourly_rollups`)).toEqual(await runSql(url, digest));
  expect(await runSql(url, `${rolledUp} daily_rollups`)).toEqual(await runSql(url, digest));
  await packAll(url);
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: 100 });
  expect(await bitsOf(url)).toEqual(before);
  // Forgotten and made anew, from chunks alone.
  await runSql(url, `truncate ${partition}`);
  await rollUp();
  expect(await runSql(url, `${rolledUp} hourly_rollups`)).toEqual(await runSql(url, digest));
});

test('packs a week that is old and quiet, one a run, and tells', async () => {
  const { url, store, rollUp, pack, observations } = await preparePacking();
  await store.write([...minutes(20), ...minutes(20, week), summaryOf({ bucket: Date.now() / 1000 })]);
  await rollUp();
  const packed = async () => (await whereTheyAre(url)).packed;
  await pack(2, 'never');
  await pack(2, 10 * week); // Too young.
  await pack(0); // Changed today.
  expect(await packed()).toBe(0);
  await pack(2);
  expect(await packed()).toBe(40);
  await pack(2);
  expect(await packed()).toBe(80);
  await pack(2);
  expect(await whereTheyAre(url)).toEqual({ rows: 1, packed: 80 });
  expect(observations.filter(({ type }) => type === 'week_packed')).toHaveLength(2);
  expect(observations).toContainEqual({ type: 'week_packed', database: 'db1', monday: mondayText });
  expect(observations.filter(({ type }) => type === 'maintenance_failed')).toEqual([]);
});

test('leaves a week of a few summaries a series as it is, and looks again when more have come', async () => {
  const { url, store, rollUp, pack } = await preparePacking();
  await store.write(minutes(19));
  await rollUp();
  await pack(2);
  await pack(2);
  expect(await whereTheyAre(url)).toEqual({ rows: 38, packed: 0 });
  await store.write(minutes(1, 5_000));
  await rollUp();
  await pack(2);
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: 40 });
});

test('throws the work away when the week changes under it, whatever changes it and whether it is rolled up by then', async () => {
  const { url, store, rollUp } = await preparePacking();
  await store.write(minutes(10));
  await rollUp();
  const late = summaryOf({ name: 'a', bucket: monday + 30 });
  const changes: (() => Promise<unknown>)[] = [
    () => store.write([late]),
    () => store.write([{ ...late, id: v7() }]).then(rollUp),
    () => runSql(url, 'delete from summaries where id = $1', [late.id]),
    () => runSql(url, `update ${partition} set mean = 7 where bucket = to_timestamp($1)`, [monday]).then(rollUp),
    () =>
      runSql(url, `truncate ${partition}`)
        .then(() => store.write(minutes(10)))
        .then(rollUp),
  ];
  for (const change of changes) {
    expect([await packStep(url), await packStep(url)]).toEqual(['begun', 'copied']);
    await change();
    const before = await bitsOf(url);
    expect(await packWhile(url)).toBe('changed');
    expect(await whereTheyAre(url)).toEqual({ rows: before.length, packed: 0 });
    await rollUp();
  }
  const before = await bitsOf(url);
  await packAll(url);
  expect(await bitsOf(url)).toEqual(before);
});
