import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { Summary } from '../../src/domain/summary.ts';
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
import { startWatch } from '../support/stalls.ts';
import { summaryOf } from '../support/summaries.ts';

/** Somebody else's session, which may hold locks. */
async function session(url: URL): Promise<Client> {
  const client = new Client({ connectionString: url.href });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const everything = { namePattern: undefined, from: 0, to: 4e9 };

test('neither loses nor doubles what is written while it packs, and sent again, and shows reads each summary once', async () => {
  const early = minutes(200);
  const { url, store, rollUp } = await preparePacking();
  await store.write(early);
  await rollUp();
  const late: Summary[] = [];
  const ends = new Set<string>();
  let isOver = false;
  const writing = (async () => {
    // Until both have happened: that it went through between two writes, and that a write came in between.
    for (let round = 0; round < 10 || !(ends.has('packed') && ends.has('changed')); round += 1) {
      const batch = minutes(5, 30 + round);
      late.push(...batch);
      await Promise.all([store.write([...batch, ...early.slice(round)]), store.write(batch)]);
      // Longer by and by: on a busy machine it takes its time to go through.
      await sleep((1_000 + 200 * round) * Math.random() ** 3);
    }
    isOver = true;
  })();
  const packing = (async () => {
    while (!isOver) {
      ends.add(await packWhile(url, ['begun', 'copied'], 100));
      await rollUp();
    }
  })();
  const reading = (async () => {
    while (!isOver) {
      const ids = (await store.select(everything)).summaries.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const found = new Set(ids);
      expect(early.every(({ id }) => found.has(id))).toBe(true);
    }
  })();
  await Promise.all([writing, packing, reading]);
  await rollUp();
  await packAll(url);
  const ids = (await store.select(everything)).summaries.map(({ id }) => id);
  expect(ids.toSorted()).toEqual([...early, ...late].map(({ id }) => id).toSorted());
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: ids.length });
}, 60_000);

test('gives the same answer before, while and after it packs and unpacks', async () => {
  const { url, store, rollUp } = await preparePacking();
  await store.write(minutes(300));
  await rollUp();
  const before = await bitsOf(url);
  let isOver = false;
  const packing = (async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      // A read may hold the week for longer than a step waits.
      expect(await packWhile(url, ['begun', 'copied', 'locked'])).toBe('packed');
      await runSql(url, 'select unpack_week($1)', [mondayText]);
      await rollUp();
    }
    isOver = true;
  })();
  const reading = (async () => {
    while (!isOver) expect(await bitsOf(url)).toEqual(before);
  })();
  await Promise.all([packing, reading]);
}, 60_000);

test('waits for nobody long who holds the week, holds up writes no longer, and ends the work at a later step', async () => {
  const { url, store, rollUp } = await preparePacking();
  await store.write(minutes(20));
  await rollUp();
  const before = await bitsOf(url);
  const reader = await session(url);
  await reader.query('begin');
  await reader.query('select count(*) from summaries');
  // The first of a name and a week makes them.
  await store.write([summaryOf()]);
  const packing = packWhile(url);
  let longestMs = 0;
  let isOver = false;
  const writing = (async () => {
    while (!isOver) {
      const watch = startWatch();
      await store.write([summaryOf()]);
      longestMs = Math.max(longestMs, watch());
    }
  })();
  expect(await packing).toBe('locked');
  expect(await packStep(url)).toBe('locked');
  isOver = true;
  await writing;
  // A fifth of a second is waited for the week; without that bound, until the reader ends.
  expect(longestMs).toBeLessThan(1_500);
  await reader.query('rollback');
  expect(await packStep(url)).toBe('packed');
  expect(await bitsOf(url)).toEqual(expect.arrayContaining(before));
});

test('keeps out the change of a writer who has not committed yet when the work begins', async () => {
  const { url, store, rollUp } = await preparePacking();
  await store.write(minutes(10));
  await rollUp();
  const writer = await session(url);
  await writer.query('begin');
  await writer.query(`delete from summaries where bucket = to_timestamp($1)`, [monday]);
  expect(await packWhile(url)).toBe('locked');
  // It commits while the work waits for the week.
  const finishing = packWhile(url, ['locked']);
  await sleep(80);
  await writer.query('commit');
  expect(await finishing).toBe('changed');
  expect(await whereTheyAre(url)).toEqual({ rows: 18, packed: 0 });
});

test('goes on after a crash at any step, with every read right meanwhile', async () => {
  const { url, store, rollUp } = await preparePacking();
  await store.write(minutes(20));
  await rollUp();
  const before = await bitsOf(url);
  for (let steps = 0; ; steps += 1) {
    const packer = await session(url);
    await packer.query('begin');
    await packer.query(`select * from pack_summaries(now(), 'infinity', 7, 1)`);
    const [{ pid } = {}] = (await packer.query('select pg_backend_pid() as pid')).rows;
    packer.on('error', () => undefined);
    await runSql(url, 'select pg_terminate_backend($1)', [pid]);
    expect(await bitsOf(url)).toEqual(before);
    const step = await packStep(url);
    expect(await bitsOf(url)).toEqual(before);
    if (step === 'packed') break;
    expect(steps).toBeLessThan(10);
  }
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: before.length });
});

test('drops the chunks of a week with the week, past the retention', async () => {
  const { url, retain, store, rollUp } = await preparePacked([...minutes(20), ...minutes(20, week)]);
  const age = Date.now() / 1000 - monday;
  await retain(age - week + 10);
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: 80 });
  await retain(age - week - 10);
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: 40 });
  const { summaries } = await store.select(everything);
  expect(summaries.every(({ bucket }) => bucket >= monday + week)).toBe(true);
  await rollUp();
  expect(await runSql(url, 'select sum(summaries)::int as summaries from daily_rollups')).toEqual([{ summaries: 40 }]);
});

test('keeps out what a packed week holds also after its partition was dropped by hand', async () => {
  const summaries = minutes(10);
  const { url, store } = await preparePacked(summaries);
  await runSql(url, `drop table ${partition}`);
  await store.write(summaries);
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: 20 });
});

test('gives the room back', async () => {
  const { url, store, rollUp } = await preparePacking();
  await store.write(minutes(3_000));
  await rollUp();
  const bytes = async () => {
    const text = `select sum(pg_total_relation_size(relid))::int as bytes
      from (select inhrelid as relid from pg_inherits where inhparent = 'summaries'::regclass
        union all select 'packed_summaries'::regclass) as tables`;
    return Number((await runSql(url, text))[0]?.bytes);
  };
  const before = await bytes();
  await packWhile(url, ['begun', 'copied'], 10_000);
  expect(await whereTheyAre(url)).toEqual({ rows: 0, packed: 6_000 });
  expect(await bytes()).toBeLessThan(before / 2);
});
