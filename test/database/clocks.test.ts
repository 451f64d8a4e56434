import { expect, test } from 'vitest';
import { type ClockReading, compareClocks } from '../../src/database/clocks.ts';
import { packOnce } from '../../src/database/pack.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import { watchClocks } from '../../src/database/watch-clocks.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { withClock } from '../support/clocks.ts';
import { freshDatabase, runSql } from '../support/fresh-database.ts';
import { day, week, whereTheyAre } from '../support/packing.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';
import { ahead, nowSeconds, prepareWeeks } from '../support/weeks.ts';

const ignore = () => undefined;
const hour = 3_600;

const readingOf = (seconds: number, errorMs = 0): ClockReading => ({ seconds, atMs: performance.now(), errorMs });

function compare(offsets: readonly (number | undefined)[], errorMs = 0) {
  const now = nowSeconds();
  const databases = offsets.map((offset, index) => ({
    name: `db${index + 1}`,
    clock: () => (offset === undefined ? undefined : readingOf(now + offset, errorMs)),
  }));
  const { leastNow, ...compared } = compareClocks(databases, now);
  return { ...compared, behindSeconds: Math.round(now - leastNow) };
}

test.each([
  [[0, 0.5, -1.2], 1, 'agree', null],
  [[3, 0], 0, 'differ', 'the clock of db1 is 3 s ahead of that of this service: set both right, by NTP'],
  [
    [0, -7_200],
    7_200,
    'apart',
    /^the clock of this service is 2 h ahead of that of db2: until they agree, no week is dropped/,
  ],
  // Of two databases that differ from the service by less.
  [[200, -200], 200, 'apart', /^the clock of db1 is 7 min ahead of that of db2: /],
  // All of the databases say that it is the service.
  [[-34_560_000, -34_560_000], 34_560_000, 'apart', /^the clock of this service is 400 days ahead of that of db1: /],
  [[undefined, 0], 0, 'agree', null],
])('of clocks that are ahead by %j s the one furthest behind counts, %d s behind: %s', (...given) => {
  const [offsets, behindSeconds, state, message] = given;
  const compared = compare(offsets);
  expect(compared).toMatchObject({ behindSeconds, state });
  if (message === null) expect(compared.message).toBeNull();
  else expect(compared.message).toMatch(message);
});

test('what a round trip explains is no difference, and neither is a database that cannot be reached', () => {
  expect(compare([0, 4], 2_500).differenceSeconds).toBeLessThan(1.6);
  expect(compare([0, 4], 2_500)).toMatchObject({ state: 'agree' });
  expect(compare([0, 8], 2_500)).toMatchObject({ state: 'differ' });
  expect(compare([undefined, undefined])).toMatchObject({ state: 'agree', behindSeconds: 0 });
});

test('between two looks the clock of a database goes on, whatever the clock of the service does', () => {
  const reading = { seconds: 1e9, atMs: performance.now() - 10_000, errorMs: 0 };
  const databases = [{ name: 'db1', clock: () => reading }];
  expect(compareClocks(databases, 1e9 + 10)).toMatchObject({ state: 'agree' });
  expect(compareClocks(databases, 1e9 + 1_000)).toMatchObject({ state: 'apart' });
});

test('a look tells what the clock of a database says, and status how far it is off', async () => {
  const database = await freshDatabase();
  const compared = compareClocks([database], nowSeconds() + 60);
  expect(compared.differenceSeconds).toBeGreaterThan(58);
  expect(compared.differenceSeconds).toBeLessThan(61);
  expect(Math.abs(database.status().clockOffsetMs ?? Number.NaN)).toBeLessThan(1_000);
});

test('differences that stay are told once, and their end', { timeout: 30_000 }, async () => {
  let offset = 0;
  const observations: Observation[] = [];
  const options = {
    databases: [{ name: 'db1', clock: () => readingOf(nowSeconds() + offset) }],
    now: nowSeconds,
    observe: (observation: Observation) => void observations.push(observation),
  };
  const stopping = new AbortController();
  const watching = watchClocks(options, stopping.signal);
  offset = 30;
  await eventually(() => expect(observations).toMatchObject([{ type: 'clocks_compared', state: 'differ' }]));
  offset = 0;
  await eventually(() => expect(observations.slice(1)).toMatchObject([{ state: 'agree', message: null }]));
  stopping.abort();
  await watching;
  expect(observations).toHaveLength(2);
});

const closedTo = async (url: URL) => {
  const [row] = await runSql(url, "select date_part('epoch', closed_to) as closed from rollup_state");
  return Number(row?.closed);
};

test('hours are closed by the clock that is furthest behind, and none while the clocks are apart', async () => {
  const { url, database } = await prepareWeeks(1);
  const rollUp = (service: () => number, clock: () => number) =>
    rollUpOnce({ databases: [withClock(database, clock)], now: service, observe: ignore });
  await rollUp(ahead(-hour), ahead(-hour));
  const before = await closedTo(url);
  expect(before).toBeLessThanOrEqual(nowSeconds() - hour);
  await rollUp(nowSeconds, ahead(30 * day));
  await rollUp(ahead(30 * day), nowSeconds);
  expect(await closedTo(url)).toBe(before);
  await rollUp(nowSeconds, ahead(60));
  expect(await closedTo(url)).toBeGreaterThan(before);
  expect(await closedTo(url)).toBeLessThanOrEqual(nowSeconds());
  // An hour is over five minutes after its end.
  const noon = 43_200 + Math.ceil(nowSeconds() / 86_400) * 86_400;
  for (const [service, clock] of [
    [400, 200],
    [200, 400],
  ] as const) {
    await rollUp(
      () => noon + service,
      () => noon + clock,
    );
    expect(await closedTo(url)).toBe(noon - hour);
  }
});

test('hours that were closed by clocks that were ahead are opened again, and what was rolled up of them is right later', async () => {
  const { url, database, store } = await prepareWeeks(1);
  const at = (clock: () => number) =>
    rollUpOnce({ databases: [withClock(database, clock)], now: clock, observe: ignore });
  const present = summaryOf({ name: 'present', bucket: nowSeconds() });
  const gone = summaryOf({ name: 'gone', bucket: nowSeconds() });
  await store.write([present, gone]);
  await at(ahead(400 * day));
  expect(await closedTo(url)).toBeGreaterThan(nowSeconds() + 399 * day);
  await store.write([summaryOf({ name: 'present', bucket: nowSeconds() })]);
  const later = async () => (await runSql(url, 'select count(*)::int as notes from dirty_hours'))[0]?.notes;
  expect(await later()).toBe(1);

  await at(nowSeconds);
  expect(await closedTo(url)).toBeLessThanOrEqual(nowSeconds());
  expect(await later()).toBe(0);
  // A change of an hour that is open again leaves no note, and no roll-up that says something else.
  await store.write([summaryOf({ name: 'present', bucket: nowSeconds() })]);
  expect(await later()).toBe(0);
  await runSql(url, 'delete from summaries where id in ($1, $2)', [present.id, gone.id]);
  const rolledUp = async (table: string) => {
    const text = `select name, sum(summaries)::int as summaries from ${table} join series on series.id = series_id
      where name in ('present', 'gone') group by 1`;
    return runSql(url, text);
  };
  await at(ahead(2 * day));
  expect(await rolledUp('hourly_rollups')).toEqual([{ name: 'present', summaries: 2 }]);
  expect(await rolledUp('daily_rollups')).toEqual([{ name: 'present', summaries: 2 }]);
  const digests = `select sum(summaries)::int as summaries, bit_xor(hash)::text as hash from digests`;
  const counted = `select count(*)::int as summaries, bit_xor(uuid_hash_extended(id, 0))::text as hash from summaries`;
  expect(await runSql(url, digests)).toEqual(await runSql(url, counted));
});

test('clocks that are far behind open nothing again of which much is rolled up', async () => {
  const { url, database, store } = await prepareWeeks(1);
  const hours = Array.from({ length: 200 }, (_, ago) => summaryOf({ bucket: nowSeconds() - ago * hour }));
  await store.write(hours);
  const at = (clock: () => number) =>
    rollUpOnce({ databases: [withClock(database, clock)], now: clock, observe: ignore });
  await at(nowSeconds);
  const before = await closedTo(url);
  await at(ahead(-30 * day));
  expect(await closedTo(url)).toBe(before);
  await at(ahead(-4 * hour));
  expect(await closedTo(url)).toBeLessThan(before);
});

test('a clock of the service that is ahead packs no week, and a time of change that lies ahead keeps none from it', async () => {
  const { url, database, store } = await prepareWeeks(1);
  await store.write(Array.from({ length: 40 }, (_, index) => summaryOf({ bucket: nowSeconds() - 5 * week + index })));
  await rollUpOnce({ databases: [database], observe: ignore });
  const pack = (service: () => number, clock = service) =>
    packOnce({ databases: [withClock(database, clock)], packAfterSeconds: 2 * week, now: service, observe: ignore });
  await pack(ahead(400 * day), nowSeconds);
  await pack(ahead(2 * day), ahead(2 * day - hour));
  expect(await whereTheyAre(url)).toMatchObject({ packed: 0 });
  await runSql(url, `update summary_weeks set changed_at = now() + interval '400 days'`);
  await pack(ahead(2 * day));
  expect(await whereTheyAre(url)).toMatchObject({ packed: 40 });
});

test('settings that were noted by a clock that was ahead grow old like others', async () => {
  const { url, note } = await prepareWeeks(1);
  await note({ write_acks: 1 });
  await runSql(url, `update settings_in_use set used_at = now() + interval '400 days'`);
  await note({ write_acks: 2 });
  const [row] = await runSql(url, 'select max(used_at) <= now() as is_past from settings_in_use');
  expect(row).toEqual({ is_past: true });
});
