import { expect, test } from 'vitest';
import { createMaintainMemory, maintain, maintainOnce } from '../../src/database/maintain.ts';
import { packOnce } from '../../src/database/pack.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { withClock } from '../support/clocks.ts';
import { runSql } from '../support/fresh-database.ts';
import { day, minutes, monday, preparePacked, week, whereTheyAre } from '../support/packing.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';
import { ahead, nowSeconds, type PreparedWeeks, prepareWeeks } from '../support/weeks.ts';

const ignore = () => undefined;

interface Pass {
  readonly retentionSeconds?: number;
  readonly service: () => number;
  readonly clock: () => number;
}

/** Passes of processes that have each just begun, or of one and the same. */
async function passes(count: number, { database }: PreparedWeeks, pass: Pass, memory = createMaintainMemory()) {
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
  const old = nowSeconds() - 5 * week;
  await weeks.store.write(Array.from({ length: 300 }, (_, index) => summaryOf({ bucket: old + index })));
  await rollUpOnce({ databases: [weeks.database], observe: ignore });
  await weeks.note({ retention_seconds: Number.POSITIVE_INFINITY, pack_after_seconds: Number.POSITIVE_INFINITY });
  await eventually(() => expect(weeks.database.notes()?.settings).toHaveLength(2));
  const told = await passes(1, weeks, { service: nowSeconds, clock: nowSeconds, retentionSeconds: 10 * week });
  expect(told).toContainEqual({ type: 'retention_extended', days: null, ownDays: 70 });
  const later = ahead(2 * day);
  const packing = { databases: [withClock(weeks.database, later)], packAfterSeconds: day, now: later, observe: ignore };
  await packOnce(packing);
  expect(await weeks.held()).toBe(312);
  await packOnce({ ...packing, databases: packing.databases.map((one) => ({ ...one, notes: () => undefined })) });
  expect(await weeks.held()).toBeLessThan(312);
});

test('nothing is dropped from a database of which it is not known what others keep', async () => {
  const weeks = await prepareWeeks(12);
  const options = { retentionSeconds: 10 * week, now: nowSeconds, observe: ignore };
  const databases = [{ ...withClock(weeks.database, nowSeconds), notes: () => undefined }];
  await maintainOnce({ ...options, databases });
  expect(await weeks.held()).toBe(12);
  await maintainOnce({ ...options, databases: [withClock(weeks.database, nowSeconds)] });
  expect(await weeks.held()).toBeLessThan(12);
});

test('weeks that come late, older than what was dropped last, are dropped two at most as well', async () => {
  const weeks = await prepareWeeks(5);
  const right = { service: nowSeconds, clock: nowSeconds, retentionSeconds: 10 * week };
  await passes(1, weeks, right);
  const late = async (count: number) => {
    const old = Array.from({ length: count }, (_, index) => summaryOf({ bucket: nowSeconds() - (12 + index) * week }));
    await weeks.store.write(old);
  };
  await late(2);
  expect(await passes(1, weeks, right)).toMatchObject([{ type: 'partition_dropped' }, { type: 'partition_dropped' }]);
  await late(3);
  expect(await passes(1, weeks, right)).toMatchObject([{ type: 'weeks_held_back', weeks: 3 }]);
  expect(await weeks.held()).toBe(8);
});

test('what a wrong clock has noted of an empty database does not let it drop what comes later', async () => {
  const weeks = await prepareWeeks(0);
  const later = ahead(400 * day);
  const wrong = { service: later, clock: later };
  await passes(1, weeks, wrong);
  await passes(1, weeks, { service: nowSeconds, clock: nowSeconds });
  const noted = 'select dropped_to < now() as is_past from retention_state';
  expect(await runSql(weeks.url, noted)).toEqual([{ is_past: true }]);
  await weeks.store.write([0, 1].map((ago) => summaryOf({ bucket: nowSeconds() - ago * week })));
  await passes(2, weeks, wrong);
  expect(await weeks.held()).toBe(2);
});

test('a newest week that is packed and has no partition any more keeps what it holds', async () => {
  const { url, database } = await preparePacked([...minutes(20), ...minutes(20, week)]);
  const newer = `summaries_${new Date((monday + week) * 1000).toISOString().slice(0, 10).replaceAll('-', '')}`;
  await runSql(url, `drop table ${newer}`);
  await runSql(url, `update retention_state set dropped_to = now() - interval '10 days'`);
  await maintainOnce({ databases: [database], retentionSeconds: week, now: nowSeconds, observe: ignore });
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: 40 });
});

test('a service of the version before drops no more either', async () => {
  const weeks = await prepareWeeks(5);
  const text = "select elected, dropped from maintain_summaries(now() + interval '310 days', 2)";
  expect(await runSql(weeks.url, text)).toEqual([{ elected: true, dropped: [] }]);
  await runSql(weeks.url, `update retention_state set dropped_to = now() - interval '30 days'`);
  const due = "select dropped from maintain_summaries(now() - interval '21 days', 2)";
  expect((await runSql(weeks.url, due))[0]?.dropped).toEqual([expect.stringMatching(/^summaries_\d{8}$/)]);
});
