import { expect, test } from 'vitest';
import { type ClockReading, compareClocks } from '../../src/database/clocks.ts';
import { createMaintainMemory, maintain, maintainOnce } from '../../src/database/maintain.ts';
import { noteSettings, type SettingsInUse } from '../../src/database/notes.ts';
import { packOnce } from '../../src/database/pack.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import { watchClocks } from '../../src/database/watch-clocks.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { withClock } from '../support/clocks.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { day, week, whereTheyAre } from '../support/packing.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

const nowSeconds = () => Date.now() / 1000;
const ahead = (seconds: number) => () => nowSeconds() + seconds;
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

/** A database with a summary in each of the last weeks. */
async function prepareWeeks(weeks: number) {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ url });
  const store = createPostgresStore({ database, observe: ignore });
  await store.write(Array.from({ length: weeks }, (_, ago) => summaryOf({ bucket: nowSeconds() - ago * week })));
  const held = async () => {
    const [row] = await runSql(url, 'select count(*)::int as held from summaries');
    return row?.held;
  };
  const note = (settings: SettingsInUse) =>
    noteSettings((text, values) => database.query('maintain', { text, values: values ?? [] }), settings);
  const heldBack = async () => {
    const [row] = await runSql(url, 'select weeks_held_back from retention_state');
    return row?.weeks_held_back;
  };
  return { url, database, store, held, heldBack, note };
}

interface Pass {
  readonly retentionSeconds?: number;
  readonly service: () => number;
  readonly clock: () => number;
}

/** Passes of processes that have each just begun, or of one and the same. */
async function passes(
  count: number,
  { database }: Awaited<ReturnType<typeof prepareWeeks>>,
  pass: Pass,
  memory = createMaintainMemory(),
) {
  const observations: Observation[] = [];
  const { retentionSeconds = 90 * day, service: now, clock } = pass;
  const observe = (observation: Observation) => void observations.push(observation);
  const options = { databases: [withClock(database, clock)], retentionSeconds, now, observe };
  for (let time = 0; time < count; time += 1) await maintainOnce(options, memory);
  return observations.filter(({ type }) => type !== 'maintenance_done');
}

test.each([
  ['of the service', ahead(400 * day), nowSeconds],
  ['of a database', nowSeconds, ahead(400 * day)],
])('a clock %s that is ahead drops nothing and makes no partition ahead', async (_, service, clock) => {
  const weeks = await prepareWeeks(5);
  expect(await passes(3, weeks, { service, clock })).toEqual([]);
  expect(await weeks.held()).toBe(5);
});

test.each([1, 2, 40])(
  'all clocks 400 days ahead, with %d weeks of data: nothing is dropped, pass after pass',
  async (count) => {
    const weeks = await prepareWeeks(count);
    const later = ahead(400 * day);
    const wrong = { service: later, clock: later };
    for (let restart = 0; restart < 3; restart += 1) {
      const told = await passes(3, weeks, wrong);
      expect(told.filter(({ type }) => type !== 'partition_created')).toEqual([
        expect.objectContaining({ type: 'weeks_held_back', database: 'db1', weeks: count }),
      ]);
      // What comes is of the wrong time.
      await weeks.store.write([summaryOf({ bucket: later() })]);
    }
    expect(await weeks.held()).toBe(count + 3);
    expect(await weeks.heldBack()).toBe(count);

    // Right again: nothing is held back, and a week is dropped as its time comes.
    expect(await passes(1, weeks, { service: nowSeconds, clock: nowSeconds, retentionSeconds: 50 * week })).toEqual([
      expect.objectContaining({ type: 'partition_created' }),
      expect.objectContaining({ type: 'partition_created' }),
    ]);
    expect(await weeks.heldBack()).toBe(0);
  },
);

test('a week is dropped when its time comes, two at most, and without asking', async () => {
  const weeks = await prepareWeeks(12);
  const retentionSeconds = 12 * week;
  const droppedAfter = async (days: number) => {
    const later = ahead(days * day);
    const told = await passes(1, weeks, { service: later, clock: later, retentionSeconds });
    return told.filter(({ type }) => type === 'partition_dropped').length;
  };
  expect(await droppedAfter(0)).toBe(0);
  expect(await droppedAfter(7)).toBe(0);
  expect(await droppedAfter(14)).toBe(1);
  expect(await droppedAfter(21)).toBe(1);
  expect(await droppedAfter(34.99)).toBe(2);
  expect(await weeks.held()).toBe(8);
  // After more than two weeks without a pass, it may as well be a clock that is wrong.
  expect(await droppedAfter(56)).toBe(0);
  expect(await weeks.heldBack()).toBe(3);
  expect(await weeks.held()).toBe(8);
});

test('in one process a clock that jumps drops nothing, however small the jumps', async () => {
  const weeks = await prepareWeeks(12);
  const memory = createMaintainMemory();
  const retentionSeconds = 12 * week;
  for (const days of [0, 7, 14, 21, 28]) {
    const later = ahead(days * day);
    await passes(1, weeks, { service: later, clock: later, retentionSeconds }, memory);
  }
  expect(await weeks.held()).toBe(12);
});

test('a retention that is made shorter waits for the word of an operator, who has all of it dropped', async () => {
  const weeks = await prepareWeeks(20);
  const right = { service: nowSeconds, clock: nowSeconds };
  await passes(1, weeks, { ...right, retentionSeconds: 30 * week });
  const told = await passes(2, weeks, { ...right, retentionSeconds: 10 * week });
  expect(told).toMatchObject([{ type: 'weeks_held_back', weeks: 9 }]);
  expect(await weeks.held()).toBe(20);
  const asked = { now: nowSeconds(), oldest: nowSeconds() - 10 * week, advanceSeconds: null };
  expect((await maintain(weeks.database, asked, ignore)).dropped).toHaveLength(9);
  expect(await weeks.held()).toBe(11);
  expect(await passes(1, weeks, { ...right, retentionSeconds: 10 * week })).toEqual([]);
  expect(await weeks.heldBack()).toBe(0);
});

test('the newest week that holds data stays, until an operator asks', async () => {
  const weeks = await prepareWeeks(1);
  const at = (weeksLater: number) => ahead(weeksLater * week);
  const retentionSeconds = week;
  for (let later = 0; later < 6; later += 1) {
    await passes(1, weeks, { service: at(later), clock: at(later), retentionSeconds });
  }
  expect(await weeks.held()).toBe(1);
  await weeks.store.write([summaryOf({ bucket: at(5)() })]);
  const told = await passes(1, weeks, { service: at(6), clock: at(6), retentionSeconds });
  expect(told.filter(({ type }) => type === 'partition_dropped').length).toBeGreaterThan(0);
  expect(await weeks.held()).toBe(1);
});

test('what another service promises to keep is not dropped while it was there within a week, and that is told', async () => {
  const weeks = await prepareWeeks(12);
  const right = { service: nowSeconds, clock: nowSeconds };
  await passes(1, weeks, { ...right, retentionSeconds: 12 * week });
  await weeks.note({ retention_seconds: 12 * week });
  await runSql(weeks.url, `update settings_in_use set used_at = now() - interval '6 days'`);
  await eventually(() => expect(weeks.database.notes()?.settings).toHaveLength(1));
  const shorter = { ...right, retentionSeconds: 10 * week };
  expect(await passes(1, weeks, shorter)).toEqual([{ type: 'retention_extended', days: 84, ownDays: 70 }]);
  expect(await weeks.held()).toBe(12);
  await runSql(weeks.url, `update settings_in_use set used_at = now() - interval '8 days'`);
  await eventually(() => expect(weeks.database.notes()?.settings[0]?.ageSeconds).toBeGreaterThan(7 * day));
  const told = await passes(1, weeks, shorter);
  expect(told.filter(({ type }) => type === 'retention_extended')).toEqual([]);
  expect(await weeks.held()).toBeLessThan(12);
});

test('one that is kept for ever by another service is never dropped, and what is never packed by one is not by another', async () => {
  const weeks = await prepareWeeks(12);
  await runSql(weeks.url, 'update rollup_state set closed_to = now(), rolled_to = now()');
  await weeks.note({ retention_seconds: Number.POSITIVE_INFINITY, pack_after_seconds: Number.POSITIVE_INFINITY });
  await eventually(() => expect(weeks.database.notes()?.settings).toHaveLength(2));
  const told = await passes(1, weeks, { service: nowSeconds, clock: nowSeconds, retentionSeconds: 10 * week });
  expect(told).toContainEqual({ type: 'retention_extended', days: null, ownDays: 70 });
  const later = ahead(2 * day);
  const packing = { databases: [withClock(weeks.database, later)], packAfterSeconds: day, now: later, observe: ignore };
  await packOnce(packing);
  expect(await weeks.held()).toBe(12);
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
});

test('hours that were closed by clocks that were ahead are opened again, and what was rolled up of them is right later', async () => {
  const { url, database, store } = await prepareWeeks(1);
  const at = (clock: () => number) =>
    rollUpOnce({ databases: [withClock(database, clock)], now: clock, observe: ignore });
  const present = summaryOf({ name: 'present', bucket: nowSeconds() });
  await store.write([present]);
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
  await runSql(url, 'delete from summaries where id = $1', [present.id]);
  const rolledUp = `select coalesce(sum(hourly_rollups.summaries), 0)::int as rolled_up from hourly_rollups
    join series on series.id = series_id where name = 'present'`;
  expect(await runSql(url, rolledUp)).toEqual([{ rolled_up: 0 }]);
  await at(ahead(2 * hour));
  expect(await runSql(url, rolledUp)).toEqual([{ rolled_up: 2 }]);
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
