import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { maintainForever, maintainOnce, maintain as maintainWeeks } from '../../src/database/maintain.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { withClock } from '../support/clocks.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { summaryOf } from '../support/summaries.ts';

const ignore = () => undefined;
const week = 604_800;

/** Monday 00:00 UTC of the week that holds an instant, in Unix seconds: the first Monday was 1970-01-05. */
const mondayOf = (instant: number) => Math.floor((instant - 345_600) / week) * week + 345_600;

const nowSeconds = () => Date.now() / 1000;

const dayOf = (instant: number) => new Date(instant * 1000).toISOString().slice(0, 10);

const partitionOf = (instant: number) => `summaries_${dayOf(mondayOf(instant)).replaceAll('-', '')}`;

async function partitionsOf(url: URL): Promise<unknown[]> {
  const text = `select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'summaries'::regclass order by relname`;
  return (await runSql(url, text)).map(({ relname }) => relname);
}

/** Maintains once, all clocks being the same, and gives what was observed. */
async function maintain(databases: readonly Database[], retentionSeconds?: number, now = nowSeconds) {
  const observations: Observation[] = [];
  const observe = (observation: Observation) => observations.push(observation);
  const clocked = databases.map((database) => withClock(database, now));
  await maintainOnce({ databases: clocked, retentionSeconds, now, observe });
  return observations;
}

async function started(url: URL, name = 'db1') {
  const database = await freshDatabase({ url, name });
  return { database, store: createPostgresStore({ database, observe: ignore }) };
}

/** Somebody else's session, which may hold locks. */
async function session(url: URL): Promise<Client> {
  const client = new Client({ connectionString: url.href });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

test('has the partitions of this week and two ahead ready, and creates none twice', async () => {
  const url = await freshDatabaseUrl();
  const { database } = await started(url);
  const mondays = [0, 1, 2].map((ahead) => mondayOf(nowSeconds()) + ahead * week);
  const first = await maintain([database]);
  expect(first).toEqual([
    ...mondays.map((monday) => ({ type: 'partition_created', database: 'db1', monday: dayOf(monday) })),
    { type: 'maintenance_done', database: 'db1', elected: true },
  ]);
  expect(await partitionsOf(url)).toEqual(mondays.map(partitionOf));
  expect(await maintain([database])).toEqual([{ type: 'maintenance_done', database: 'db1', elected: true }]);
});

test('drops the weeks that lie wholly past the retention, and only those', async () => {
  const url = await freshDatabaseUrl();
  // Where the server lives must not matter.
  await runSql(url, `alter database ${url.pathname.slice(1)} set timezone = 'Pacific/Auckland'`);
  const { database, store } = await started(url);
  const monday = mondayOf(nowSeconds());
  const buckets = [-3 * week, -2 * week, -week - 1, -week, -1, 0].map((offset) => monday + offset);
  await store.write(buckets.map((bucket) => summaryOf({ bucket })));
  const droppedAt = async (now: number) =>
    (await maintain([database], week, () => now)).flatMap((observation) =>
      observation.type === 'partition_dropped' ? [observation.monday] : [],
    );
  // One second before a week is wholly past, and at the instant when it is.
  expect(await droppedAt(monday - 1)).toEqual([dayOf(monday - 3 * week)]);
  expect(await droppedAt(monday)).toEqual([dayOf(monday - 2 * week)]);
  const { summaries } = await store.select({ namePattern: undefined, from: 0, to: 4e9 });
  expect(summaries.map(({ bucket }) => bucket).toSorted((a, b) => a - b)).toEqual(buckets.slice(3));
});

test('drops nothing where everything is kept for ever', async () => {
  const url = await freshDatabaseUrl();
  const { database, store } = await started(url);
  await store.write([summaryOf({ bucket: nowSeconds() - 500 * week })]);
  await maintain([database]);
  expect((await store.select({ namePattern: undefined, from: 0, to: 4e9 })).summaries).toHaveLength(1);
});

test('elects one of several processes, and tells the others at once', async () => {
  const url = await freshDatabaseUrl();
  const { database } = await started(url);
  const other = await session(url);
  await other.query('begin');
  await other.query('select * from maintain_weeks(now(), 0, null, null)');
  const begun = performance.now();
  expect(await maintain([database])).toEqual([{ type: 'maintenance_done', database: 'db1', elected: false }]);
  // As long as a statement may take, if it waited.
  expect(performance.now() - begun).toBeLessThan(4_000);
  await other.query('commit');
  expect(await maintain([database])).toContainEqual({ type: 'maintenance_done', database: 'db1', elected: true });
});

test('leaves a week that a long read holds to the next run, and holds up writes for an instant only', async () => {
  const url = await freshDatabaseUrl();
  const { database, store } = await started(url);
  const old = Array.from({ length: 10 }, (_, index) => mondayOf(nowSeconds()) - (10 + index) * week);
  await store.write([summaryOf(), ...old.map((bucket) => summaryOf({ bucket }))]);
  const reader = await session(url);
  await reader.query('begin');
  await reader.query('select count(*) from summaries');
  const asked = { now: nowSeconds(), oldest: nowSeconds() - week, advanceSeconds: null };
  const maintaining = maintainWeeks(database, asked, ignore);
  const begun = performance.now();
  await store.write([summaryOf()]);
  expect(await maintaining).toMatchObject({ elected: true, dropped: [] });
  await store.write([summaryOf()]);
  // Half a second once, however many weeks are past: ten of them are five.
  expect(performance.now() - begun).toBeLessThan(4_000);
  await reader.query('commit');
  expect((await maintainWeeks(database, asked, ignore)).dropped).toHaveLength(10);
});

test('maintains the other databases while one fails, and tells which', async () => {
  const urls = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
  const [first, second] = await Promise.all(urls.map((url, index) => started(url, `db${index + 1}`)));
  if (!first || !second) throw new Error('BUG: two were started');
  await runSql(urls[0] as URL, 'drop function maintain_weeks cascade');
  const observations = await maintain([first.database, second.database]);
  expect(observations).toContainEqual({ type: 'maintenance_done', database: 'db2', elected: true });
  expect(observations).toContainEqual(
    expect.objectContaining({
      type: 'maintenance_failed',
      database: 'db1',
      failure: expect.objectContaining({ code: 'schema_missing' }),
    }),
  );
});

test('begins at once and ends at the signal', async () => {
  const url = await freshDatabaseUrl();
  const { database } = await started(url);
  const stopping = new AbortController();
  const done = Promise.withResolvers<void>();
  const observe = ({ type }: Observation) => type === 'maintenance_done' && done.resolve();
  const untouched = { retentionSeconds: undefined, packAfterSeconds: undefined };
  const options = { databases: [database], ...untouched, now: nowSeconds, observe };
  const maintaining = maintainForever(options, stopping.signal);
  await done.promise;
  stopping.abort();
  await maintaining;
});
