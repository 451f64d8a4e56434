import { expect, test } from 'vitest';
import { freshDatabase, runSql } from '../support/fresh-database.ts';
import { minutes, monday, packAll, partition, preparePacked, preparePacking, week } from '../support/packing.ts';
import { summaryOf } from '../support/summaries.ts';

type Digests = readonly { hour: number; summaries: number; hash: string }[];

/** By hour: what the digests say. */
async function digestsOf(url: URL): Promise<Digests> {
  const text = `
    select extract(epoch from date_bin('1 hour', slice, 'epoch'))::float8 as hour, sum(summaries)::int as summaries,
      bit_xor(hash)::text as hash
    from digests group by 1 having sum(summaries) <> 0 or bit_xor(hash) <> 0 order by 1`;
  return (await runSql(url, text)) as unknown as Digests;
}

/** By hour: what is stored. */
async function countedIn(url: URL): Promise<Digests> {
  const text = `
    select extract(epoch from date_bin('1 hour', bucket, 'epoch'))::float8 as hour, count(*)::int as summaries,
      bit_xor(uuid_hash_extended(stored.id, 0))::text as hash
    from (
      select bucket, id from summaries
      union all select packed.bucket, packed.id from series
      cross join lateral packed_between(series.id, to_timestamp(0), to_timestamp(4e9)) as packed) as stored
    group by 1 order by 1`;
  return (await runSql(url, text)) as unknown as Digests;
}

const expectDigestsToHold = async (url: URL) => expect(await digestsOf(url)).toEqual(await countedIn(url));

test('hold after every kind of change, merged by the maintenance or not', async () => {
  const { url, store, rollUp } = await preparePacking();
  const now = Math.floor(Date.now() / 60_000) * 60;
  const recent = Array.from({ length: 90 }, (_, index) =>
    summaryOf({ name: `n${index % 3}`, bucket: now - (index + 1) * 60 }),
  );
  for (const change of [
    () => store.write([...minutes(200), ...recent]),
    rollUp,
    () => store.write(minutes(50, 3_630)),
    () => store.write(recent),
    () => runSql(url, 'delete from summaries where extract(minute from bucket) < 7'),
    rollUp,
    () => runSql(url, "update summaries set id = gen_random_uuid(), bucket = bucket + interval '1 minute'"),
    () =>
      runSql(
        url,
        `insert into ${partition} (series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last)
         select series_id, bucket, gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1 from ${partition}`,
      ),
    rollUp,
    // Once more: at five past, the first of them closes an hour after it has merged.
    rollUp,
  ]) {
    await change();
    await expectDigestsToHold(url);
  }
  const [{ rows } = {}] = await runSql(url, 'select count(*)::int as rows from digests where not merged');
  expect(rows).toBe(0);
});

test('are rows of hours once the hours are closed', async () => {
  const { url, store, rollUp } = await preparePacking();
  await store.write(minutes(120));
  expect((await runSql(url, 'select from digests')).length).toBe(120);
  await rollUp();
  await rollUp();
  expect((await runSql(url, 'select from digests')).length).toBe(2);
  await store.write(minutes(120));
  await rollUp();
  expect((await runSql(url, 'select from digests')).length).toBe(2);
  await expectDigestsToHold(url);
});

test('do not change when a week is packed and unpacked, and count what comes late to it', async () => {
  const { url, store, rollUp } = await preparePacked(minutes(200));
  await expectDigestsToHold(url);
  const late = minutes(30, 30);
  await store.write(late);
  await store.write(late);
  await expectDigestsToHold(url);
  await rollUp();
  await packAll(url);
  await expectDigestsToHold(url);
  await runSql(url, `select unpack_week(to_timestamp($1)::date)`, [monday]);
  await expectDigestsToHold(url);
});

test('hold after somebody truncated or dropped a week by hand, or everything', async () => {
  const { url, store, retain } = await preparePacking();
  const written = [...minutes(100), ...minutes(100, week)];
  await store.write(written);
  await runSql(url, `truncate ${partition}`);
  await expectDigestsToHold(url);
  await store.write(written.map((summary) => summaryOf({ name: summary.name, bucket: summary.bucket })));
  await runSql(url, `drop table ${partition}`);
  await retain(52 * week);
  await expectDigestsToHold(url);
  await store.write(minutes(10));
  await runSql(url, `drop table ${partition}`);
  await store.write(minutes(10));
  await expectDigestsToHold(url);
  await runSql(url, 'truncate summaries');
  expect(await digestsOf(url)).toEqual([]);
});

test('hold after a packed week lost its partition by hand and was unpacked', async () => {
  const { url } = await preparePacked(minutes(100));
  await runSql(url, `drop table ${partition}`);
  await runSql(url, `select unpack_week(to_timestamp($1)::date)`, [monday]);
  await expectDigestsToHold(url);
});

test('go with their week, past the retention', async () => {
  const { url, store, retain } = await preparePacking();
  await store.write(minutes(100));
  await retain(week);
  expect(await digestsOf(url)).toEqual([]);
});

test('are made for what is there already when a database is migrated', async () => {
  const { url, store } = await preparePacked(minutes(100));
  await store.write(minutes(100, week));
  const before = await digestsOf(url);
  await runSql(url, 'drop table digests');
  await runSql(url, 'drop table repair_lease');

  await freshDatabase({ url });
  expect(await digestsOf(url)).toEqual(before);
});
