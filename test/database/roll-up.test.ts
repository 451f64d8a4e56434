import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { mergeLoose, rollUpOnce } from '../../src/database/roll-up.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { binsOf, readSketch, sketchOf } from '../../src/domain/sketch.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { summaryOf } from '../support/summaries.ts';

const hour = 3_600;
const now = () => Math.floor(Date.now() / 1000);

async function prepare() {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ url });
  const observations: Observation[] = [];
  const observe = (observation: Observation) => void observations.push(observation);
  const store = createPostgresStore({ database, observe });
  const rollUp = () => rollUpOnce({ databases: [database], observe });
  return { url, database, store, rollUp, observations };
}

/** Three days of two series, a summary every ten minutes, the last of them now. */
const threeDays = () =>
  Array.from({ length: 3 * 24 * 6 }, (_, index) => ['a', 'b'].map((name) => ({ name, bucket: now() - index * 600 })))
    .flat()
    .map((fields) => summaryOf({ ...fields, count: 2, mean: Math.random() }));

/** Hours that a read would take from the roll-ups although their summaries say something else, and days likewise. */
async function wrong(url: URL): Promise<unknown[]> {
  const text = `
    with dirty as (select distinct series_id, hour from dirty_hours),
    expected as (
      select series_id, date_bin('1 hour', bucket, 'epoch') as start, count(*) as summaries,
        bit_xor(uuid_hash_extended(id, 0)) as hash, sum(count) as count, min(bucket) as earliest, max(bucket) as latest,
        (array_agg(last order by bucket desc, id desc))[1] as last, max(median) as median
      from summaries where bucket < (select rolled_to from rollup_state) group by 1, 2),
    hours as (
      select 'hour', series_id, start from expected e full join hourly_rollups r using (series_id, start)
      where (series_id, start) not in (select * from dirty) and (
        e.summaries is distinct from r.summaries or e.hash is distinct from r.hash or e.count is distinct from r.count
        or e.earliest is distinct from r.earliest or e.latest is distinct from r.latest or e.last is distinct from r.last
        or e.median is distinct from r.median)),
    days as (
      select 'day', series_id, start from daily_rollups r full join (
        select series_id, date_bin('1 day', start, 'epoch') as start, sum(summaries) as summaries, bit_xor(hash) as hash,
          (array_agg(last order by latest desc))[1] as last
        from expected where date_bin('1 day', start, 'epoch') + interval '1 day' <= (select rolled_to from rollup_state)
        group by 1, 2) e using (series_id, start)
      where not exists (select from dirty where dirty.series_id = coalesce(r.series_id, e.series_id)
          and date_bin('1 day', dirty.hour, 'epoch') = coalesce(r.start, e.start))
        and (e.summaries is distinct from r.summaries or e.hash is distinct from r.hash or e.last is distinct from r.last))
    select * from hours union all select * from days`;
  return runSql(url, text);
}

interface Counts {
  readonly hours: number;
  readonly days: number;
  readonly dirty: number;
  readonly rolledTo: number;
}

async function counts(url: URL): Promise<Counts> {
  const text = `select (select count(*)::int from hourly_rollups) as hours, (select count(*)::int from daily_rollups) as days,
    (select count(*)::int from dirty_hours) as dirty,
    (select extract(epoch from rolled_to)::float8 from rollup_state) as "rolledTo"`;
  const [row] = await runSql(url, text);
  return row as unknown as Counts;
}

async function session(url: URL): Promise<Client> {
  const client = new Client({ connectionString: url.href });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const insertAt = (ago: string, table = 'summaries') => `
  insert into ${table} select id, now() - interval '${ago}', gen_random_uuid(), 1, 2, 3, 4, 5, 6, 7, 8 from series`;

test('merges the hours and days that are over, and leaves the hour in progress alone', async () => {
  const { url, store, rollUp } = await prepare();
  await store.write(threeDays());
  await rollUp();
  const { hours, days, dirty, rolledTo } = await counts(url);
  expect(rolledTo).toBe(Math.floor((now() - 300) / hour) * hour);
  expect(dirty).toBe(0);
  expect(days).toBeGreaterThanOrEqual(4);
  expect(hours).toBeGreaterThanOrEqual(2 * 71);
  expect(await wrong(url)).toEqual([]);
});

test.each([
  ['inserted late', insertAt('30 hours')],
  ['inserted in an hour that had none', insertAt('5 days')],
  ['deleted', `delete from summaries where bucket < now() - interval '40 hours'`],
  ['changed', `update summaries set last = 77, count = 5 where bucket < now() - interval '50 hours'`],
  [
    'moved to another hour',
    `update summaries set bucket = bucket + interval '1 hour' where bucket < now() - interval '50 hours'`,
  ],
])('takes no roll-up for what was %s by hand, and merges it again', async (_, change) => {
  const { url, store, rollUp } = await prepare();
  await store.write([...threeDays(), summaryOf({ bucket: now() - 5 * 24 * hour - 3 * hour })]);
  await rollUp();
  await runSql(url, change);
  expect(await wrong(url)).toEqual([]);
  expect((await counts(url)).dirty).toBeGreaterThan(0);
  await rollUp();
  expect(await wrong(url)).toEqual([]);
  expect((await counts(url)).dirty).toBe(0);
});

test('sees changes of a single partition, and none in its hour in progress', async () => {
  const { url, store, rollUp } = await prepare();
  await store.write(threeDays());
  await rollUp();
  // Not the one of the hour in progress, on a Monday morning.
  const text = 'select tableoid::regclass::text as name from summaries group by 1 order by min(bucket) limit 1';
  const [oldest] = await runSql(url, text);
  await runSql(url, `delete from ${oldest?.name}`);
  expect((await counts(url)).dirty).toBeGreaterThan(0);
  await rollUp();
  expect(await wrong(url)).toEqual([]);
  await store.write([summaryOf()]);
  expect((await counts(url)).dirty).toBe(0);
});

test('forgets everything when summaries are truncated, and begins anew', async () => {
  const { url, store, rollUp } = await prepare();
  await store.write(threeDays());
  await rollUp();
  await runSql(url, 'truncate summaries');
  expect(await counts(url)).toMatchObject({ hours: 0, days: 0 });
  await store.write(threeDays());
  await rollUp();
  expect((await counts(url)).hours).toBeGreaterThanOrEqual(2 * 71);
  expect(await wrong(url)).toEqual([]);
});

test('closes no hour while an insert into it may be under way', async () => {
  const { url, store, rollUp } = await prepare();
  await store.write([summaryOf({ bucket: now() - 3 * hour })]);
  const slow = await session(url);
  await slow.query('begin');
  await slow.query(insertAt('2 hours'));
  await rollUp();
  expect((await counts(url)).rolledTo).toBe(Number.NEGATIVE_INFINITY);
  await slow.query('commit');
  await rollUp();
  expect((await counts(url)).rolledTo).toBeGreaterThan(0);
  expect(await wrong(url)).toEqual([]);
});

test('merges again what was inserted while its hour was being merged', async () => {
  const { url, store, rollUp } = await prepare();
  await store.write(threeDays());
  await rollUp();
  const slow = await session(url);
  await slow.query('begin');
  await slow.query(insertAt('30 hours'));
  await store.write([summaryOf({ name: 'a', bucket: now() - 30 * hour })]);
  await rollUp();
  await slow.query('commit');
  expect((await counts(url)).dirty).toBe(2);
  expect(await wrong(url)).toEqual([]);
  await rollUp();
  expect(await wrong(url)).toEqual([]);
});

test.each(['hourly_rollups', 'daily_rollups'])(
  'merges no sketches into a row of %s that was rolled up anew meanwhile',
  async (table) => {
    const { url, database, store } = await prepare();
    await store.write([summaryOf({ name: 'a' })]);
    const sketchOfOne = (value: number) => Buffer.from(sketchOf(binsOf([value])));
    await runSql(
      url,
      `insert into ${table} (series_id, start, earliest, latest, summaries, hash, count, weighed, plain, median, min, max, perc95,
      perc99, last, sketch, is_loose)
    select id, 'epoch', 'epoch', 'epoch', 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, $1, true from series`,
      [Buffer.concat([sketchOfOne(1), sketchOfOne(2)])],
    );
    let isFirst = true;
    const between: Database = {
      ...database,
      async query(kind, statement) {
        const result = await database.query(kind, statement);
        if (isFirst && statement.text.includes(`from ${table}`)) {
          isFirst = false;
          // A third summary came, and its hour was rolled up again.
          await runSql(url, `update ${table} set summaries = 3, sketch = sketch || $1`, [sketchOfOne(3)]);
        }
        return result;
      },
    };
    await mergeLoose(between);
    const rows = await runSql(url, `select summaries, sketch, is_loose from ${table}`);
    expect(isFirst).toBe(false);
    expect(rows).toMatchObject([{ summaries: 3, is_loose: false }]);
    // As one sketch, not one after another.
    const together = readSketch(Buffer.concat([1, 2, 3].map(sketchOfOne)))?.toSketch();
    expect(rows[0]?.sketch).toEqual(Buffer.from(together ?? []));
  },
);

test('goes on where it was broken off', async () => {
  const { url, store, rollUp } = await prepare();
  await store.write(threeDays());
  for (let step = 0; step < 3; step += 1) {
    await runSql(url, `select roll_up(date_bin('1 hour', now(), 'epoch'), 7)`);
    expect(await wrong(url)).toEqual([]);
  }
  await rollUp();
  expect(await wrong(url)).toEqual([]);
  expect((await counts(url)).dirty).toBe(0);
});

test('merges an hour once, however many writes have changed it', async () => {
  const { url, store, rollUp } = await prepare();
  const bucket = now() - 5 * hour;
  await store.write([summaryOf({ bucket })]);
  await rollUp();
  for (let written = 0; written < 20; written += 1) await store.write([summaryOf({ bucket })]);
  await runSql(url, `select roll_up(date_bin('1 hour', now(), 'epoch'), 1)`);
  expect((await counts(url)).dirty).toBe(0);
  expect(await wrong(url)).toEqual([]);
});

test('says of a database that is away that it was not maintained', async () => {
  const { database, rollUp, observations } = await prepare();
  await database.close();
  await rollUp();
  expect(observations).toMatchObject([{ type: 'maintenance_failed', database: 'db1' }]);
});
