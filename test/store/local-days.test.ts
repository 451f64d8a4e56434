import { expect, test } from 'vitest';
import { parseResolution, type Resolution } from '../../src/domain/resolution.ts';
import { createSeriesGroups } from '../../src/domain/series-groups.ts';
import type { AggregateQuery } from '../../src/domain/store.ts';
import { aggregateStatement } from '../../src/store/aggregate-statement.ts';
import { mergeRowsInto } from '../../src/store/merge-rows.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { type Copies, prepareCopies } from '../support/copies.ts';
import { runSql } from '../support/fresh-database.ts';
import { groupObviously, groupsOf } from '../support/group-obviously.ts';
import { summaryOf } from '../support/summaries.ts';

const observe = () => undefined;

function storeOf({ databases }: Copies) {
  return createRedundantStore({
    databases: databases.map((database) => ({
      name: database.name,
      store: createPostgresStore({ database, observe }),
    })),
    acks: 1,
    writeTimeoutMs: 30_000,
    readTimeoutMs: 30_000,
    observe,
  });
}

const queryOf = (text: string, timezone: string): AggregateQuery => ({
  namePattern: undefined,
  from: 0,
  to: 4e9,
  timezone,
  namesMax: 10,
  resolution: parseResolution(text) as Resolution,
});

test.each([
  ['America/Havana', '2025-11-02T04:00:00Z'],
  ['Asia/Gaza', '2021-10-28T21:00:00Z'],
  ['Atlantic/Azores', '2025-10-26T00:00:00Z'],
])(
  'a day of two midnights in %s is one and begins with the first, also where databases differ',
  async (timezone, midnight) => {
    const prepared = await prepareCopies(2);
    const first = Date.parse(midnight) / 1000;
    // The last second of the day before, both first hours, and noon.
    const summaries = [-1, 0, 1_800, 3_600, 5_400, 45_000].map((offset, index) =>
      summaryOf({ name: 'a', bucket: first + offset, count: 2 ** index }),
    );
    await Promise.all(
      prepared.copies.map(({ store }, place) => store.write(summaries.filter((_, at) => at !== place + 1))),
    );
    const store = storeOf(prepared);
    for (const text of ['d', '2d', 'w', 'mo', 'y']) {
      const query = queryOf(text, timezone);
      const groups = await groupsOf(await store.aggregate(query));
      const expected = groupObviously(summaries, query);
      expect(groups.map(({ bucket, count }) => [bucket, count])).toEqual(
        expected.map(({ bucket, count }) => [bucket, count]),
      );
      if (text === 'd') {
        expect(groups.map(({ bucket, count }) => [bucket, count])).toEqual([
          [first - 86_400, 1],
          [first, 62],
        ]);
      }
    }
  },
);

/** Gives a database time-zone rules of its own: to it, the clocks of any zone but UTC are four hours behind, all the year. */
const otherRules = ['timestamptz) returns timestamp', 'timestamp) returns timestamptz']
  .map(
    (signature) => `
      alter function pg_catalog.timezone(text, ${signature.split(')')[0]}) rename to timezone_as_before;
      create function pg_catalog.timezone(zone text, moment ${signature} language sql immutable strict
      as $$ select timezone_as_before(case zone when 'UTC' then zone else 'Etc/GMT+4' end, moment) $$;`,
  )
  .join('');

test('databases whose time-zone rules differ count every summary once, in the days of the service', async () => {
  const prepared = await prepareCopies(2);
  await runSql(prepared.urls[0] as URL, otherRules);
  const store = storeOf(prepared);
  // Paraguay has been three hours behind all the year since October 2024: two days in its winter.
  const noon = Date.parse('2025-07-01T15:00:00Z') / 1000;
  const summaries = Array.from({ length: 48 }, (_, index) => summaryOf({ bucket: noon + index * 3_600, count: 1 }));
  await store.write(summaries);
  await store.drain();
  for (const text of ['d', '2d', 'w', 'mo', 'y']) {
    const query = queryOf(text, 'America/Asuncion');
    const { complete, ...found } = await store.aggregate(query);
    const groups = await groupsOf(found);
    expect(complete).toBe(true);
    expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(48);
    expect(groups.map(({ bucket }) => bucket)).toEqual(groupObviously(summaries, query).map(({ bucket }) => bucket));
    if (text === 'd') expect(groups.map(({ count }) => count)).toEqual([12, 24, 12]);
  }
});

test.each([
  ['CET', 22],
  ['MET', 22],
  ['EET', 21],
  ['WET', 23],
])('%s has summer time, and what only one database holds is not left out', async (timezone, hour) => {
  const prepared = await prepareCopies(2);
  const midnight = Date.UTC(2025, 5, 1, hour) / 1000;
  // At both sides of a midnight in June, four in either database.
  const summaries = [-3_600, -1, 0, 1, 3_599, 3_600, 7_200, 40_000].map((offset, index) =>
    summaryOf({ name: 'a', bucket: midnight + offset, count: 2 ** index }),
  );
  await Promise.all(
    prepared.copies.map(({ store }, place) => store.write(summaries.filter((_, index) => index % 2 === place))),
  );
  const groups = await groupsOf(await storeOf(prepared).aggregate(queryOf('d', timezone)));
  expect(groups.map(({ bucket, count }) => [bucket, count])).toEqual([
    [midnight - 86_400, 3],
    [midnight, 252],
  ]);
});

test('no database is asked for the time in a zone', () => {
  for (const text of ['s', '15m', 'h', 'd', '3d', 'w', 'mo', 'y']) {
    for (const timezone of ['UTC', 'CET', 'Asia/Kolkata', 'America/Asuncion']) {
      const statement = aggregateStatement(queryOf(text, timezone));
      expect(statement.text).not.toMatch(/time zone|timezone/i);
      expect(statement.values).not.toContain(timezone);
    }
  }
});

test.each([
  ['d', 'UTC', 'days'],
  ['d', 'Europe/London', 'days'],
  ['d', 'Europe/Berlin', 'hours'],
  ['d', 'Asia/Kolkata', 'rows'],
  ['d', 'Asia/Kathmandu', 'rows'],
  ['w', 'Asia/Kolkata', 'days'],
  ['24h', 'Asia/Kolkata', 'days'],
  ['6h', 'UTC', 'hours'],
  ['90m', 'UTC', 'rows'],
])('buckets of %s in %s are put together of %s', (text, timezone, parts) => {
  // From Tuesday noon to Wednesday noon, in winter: one day begins within, and no week.
  const from = Date.UTC(2025, 0, 14, 12) / 1000;
  const statement = aggregateStatement({ ...queryOf(text, timezone), from, to: from + 86_400 });
  const [hours, days] = [/from hourly_rollups/.test(statement.text), /from daily_rollups/.test(statement.text)];
  const isInDays = hours && days && statement.text.includes("date_bin(interval '1 day', h1, 'epoch')");
  expect(isInDays ? 'days' : hours ? 'hours' : 'rows').toBe(parts);
});

test('summaries that are in none of the groups are an error, rather than left out', async () => {
  const query = queryOf('d', 'Europe/Berlin');
  const series = createSeriesGroups('a', 1);
  const bucket = Date.UTC(2025, 5, 1, 22) / 1000;
  // As a database would say whose day begins an hour later.
  [series.buckets[0], series.counts[0]] = [bucket + 3_600, 2];
  const rows = [summaryOf({ name: 'a', bucket }), summaryOf({ name: 'a', bucket: bucket + 7_200 })];
  await expect(mergeRowsInto([{ series, index: 0 }], query, async () => rows)).rejects.toThrow(/2 of 2 summaries/);
});
