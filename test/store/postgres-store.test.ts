import { expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import type { Observation, Observe } from '../../src/domain/observation.ts';
import type { Store } from '../../src/domain/store.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { groupsOf } from '../support/group-obviously.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

const ignore = () => undefined;

const readAll = (store: Store, namePattern?: string) => store.select({ namePattern, from: 0, to: 4e9 });

const storeOf = (database: Database, observe: Observe = ignore) => createPostgresStore({ database, observe });

/** The partition that each summary is in, by its bucket. */
async function weeksOf(url: URL): Promise<unknown[]> {
  const rows = await runSql(url, 'select tableoid::regclass::text as week from summaries order by bucket');
  return rows.map(({ week }) => week);
}

function partitionsCreated(observations: readonly Observation[]): string[] {
  return observations.flatMap((observation) => (observation.type === 'partition_created' ? [observation.monday] : []));
}

test('puts the last microsecond of a Sunday and the first of a Monday (UTC) into two weeks', async () => {
  const url = await freshDatabaseUrl();
  // Where the server lives must not matter: there it is long Monday when a Sunday ends in UTC.
  await runSql(url, `alter database ${url.pathname.slice(1)} set timezone = 'Pacific/Auckland'`);
  const observations: Observation[] = [];
  const store = storeOf(await freshDatabase({ url }), (observation) => observations.push(observation));
  const monday = Date.parse('2024-01-08T00:00:00Z') / 1000;
  const summaries = [summaryOf({ bucket: monday - 0.000001 }), summaryOf({ bucket: monday })];
  await store.write(summaries);
  expect(partitionsCreated(observations).toSorted()).toEqual(['2024-01-01', '2024-01-08']);
  expect(await weeksOf(url)).toEqual(['summaries_20240101', 'summaries_20240108']);
  const { summaries: found } = await readAll(store);
  expect(found.toSorted((a, b) => a.bucket - b.bucket)).toEqual(summaries);
});

test('creates each week once while several processes need it at the same moment', async () => {
  const url = await freshDatabaseUrl();
  const observations: Observation[] = [];
  const databases = await Promise.all([1, 2, 3, 4].map(() => freshDatabase({ url })));
  const stores = databases.map((database) => storeOf(database, (observation) => observations.push(observation)));
  const monday = Date.parse('2024-01-08T00:00:00Z') / 1000;
  const weeks = Array.from({ length: 5 }, (_, week) => monday + week * 604_800);
  await Promise.all(stores.map((store) => store.write(weeks.map((bucket) => summaryOf({ bucket })))));
  const created = partitionsCreated(observations);
  expect(created.toSorted()).toEqual(['2024-01-08', '2024-01-15', '2024-01-22', '2024-01-29', '2024-02-05']);
  expect((await readAll(stores[0] as Store)).summaries).toHaveLength(20);
});

test('agrees with another database that gave the same names other ids', async () => {
  const urls = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
  await runSql(urls[1] as URL, `insert into series (name) values ('c'), ('x'), ('b'), ('a')`);
  const stores = await Promise.all(urls.map(async (url) => storeOf(await freshDatabase({ url }))));
  const store = createRedundantStore({
    databases: stores.map((one, index) => ({ name: `db${index + 1}`, store: one })),
    acks: 2,
    writeTimeoutMs: 5_000,
    readTimeoutMs: 5_000,
    observe: ignore,
  });
  const summaries = ['a', 'b', 'c'].map((name) => summaryOf({ name }));
  await store.write(summaries);
  for (const reader of [store, ...stores]) {
    const { summaries: found } = await readAll(reader);
    expect(found.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(summaries);
  }
});

test('stores all of a batch but the summary that is refused, and says which', async () => {
  const url = await freshDatabaseUrl();
  await runSql(
    url,
    `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
     create trigger refuse before insert on summaries for each row when (new.count = 13) execute function refuse()`,
  );
  const store = storeOf(await freshDatabase({ url }));
  const batch = Array.from({ length: 20 }, (_, index) => summaryOf({ count: index }));
  await expect(store.write(batch)).rejects.toMatchObject({ code: 'data_refused', problems: [{ path: '13' }] });
  expect((await readAll(store)).summaries).toHaveLength(19);
  await store.write([summaryOf({ count: 1 })]);
  expect((await readAll(store)).summaries).toHaveLength(20);
});

test('refuses a bad pattern in the words of PostgreSQL and keeps the connection', async () => {
  const database = await freshDatabase({ poolSizeMax: 2 });
  const store = storeOf(database);
  const backend = async () => (await database.query('read', { text: 'select pg_backend_pid() as pid' })).rows[0].pid;
  const before = await backend();
  await expect(readAll(store, 'a(b')).rejects.toMatchObject({
    code: 'invalid_pattern',
    message: 'parentheses () not balanced',
  });
  await expect(readAll(store, 'a{2,1}')).rejects.toMatchObject({ code: 'invalid_pattern' });
  expect(await backend()).toBe(before);
  expect(database.status()).toMatchObject({ state: 'up', lastFailure: null });
});

test('refuses a read of more summaries than fit into memory, and serves the next one', async () => {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ url, timeoutMs: { write: 10_000, read: 20_000, maintain: 10_000 } });
  const store = storeOf(database);
  const summary = summaryOf({ name: 'small' });
  await store.write([summary, summaryOf({ name: 'large', bucket: summary.bucket })]);
  await runSql(
    url,
    `insert into summaries select series_id, bucket, gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1
     from summaries join series on series.id = series_id, generate_series(1, 500000) where name = 'large'`,
  );
  await expect(readAll(store, 'large')).rejects.toMatchObject({ code: 'read_too_large' });
  expect((await readAll(store, 'small')).summaries).toEqual([summary]);
  expect(database.status().state).toBe('up');
});

test('holds a bounded number of summaries for a database that hangs, and takes more once it answers', async () => {
  const database = await freshDatabase();
  const gate = Promise.withResolvers<void>();
  const hanging: Database = { ...database, query: (...args) => gate.promise.then(() => database.query(...args)) };
  const store = storeOf(hanging);
  const batch = new Array(10_000).fill(summaryOf());
  const writes = Array.from({ length: 10 }, () => store.write(batch));
  await expect(store.write([summaryOf()])).rejects.toMatchObject({ code: 'queue_full' });
  gate.resolve();
  await Promise.all(writes);
  await store.write([summaryOf()]);
  expect((await readAll(store)).summaries).toHaveLength(2);
});

test('waits for its writes when it is drained', async () => {
  const store = storeOf(await freshDatabase());
  const summary = summaryOf();
  const writing = store.write([summary]);
  await store.drain();
  expect((await readAll(store)).summaries).toEqual([summary]);
  await writing;
});

test('goes on where an operator has added a column, an index and a constraint, also in weeks that are new', async () => {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ url });
  const store = createPostgresStore({ database, observe: () => undefined });
  const today = Math.floor(Date.now() / 1000);
  await store.write([summaryOf()]);
  await runSql(url, 'alter table summaries add constraint few check (count < 1000)');
  await store.write([summaryOf({ bucket: today - 30 * 86_400 })]);
  await expect(store.write([summaryOf({ bucket: today - 30 * 86_400, count: 1_000 })])).rejects.toMatchObject({
    code: 'data_refused',
  });
  await runSql(url, 'alter table summaries add column note text; create index on summaries (note)');
  await store.write([summaryOf({ bucket: today - 60 * 86_400 })]);
  const query = { namePattern: undefined, from: 0, to: 4e9 };
  expect((await store.select(query)).summaries).toHaveLength(3);
  const found = await store.aggregate({
    ...query,
    resolution: { amount: 1, unit: 'day' },
    timezone: 'UTC',
    namesMax: 10,
  });
  expect((await groupsOf(found)).map(({ summaries }) => summaries)).toEqual([1, 1, 1]);
});

test('of a week that an operator has taken away, refuses the write that needs it and no other', async () => {
  const url = await freshDatabaseUrl();
  const store = storeOf(await freshDatabase({ url }));
  const [recent, old] = [summaryOf(), summaryOf({ bucket: summaryOf().bucket - 100 * 86_400 })];
  await store.write([recent]);
  await store.write([old]);
  const [week] = await weeksOf(url);
  await runSql(url, `alter table summaries detach partition ${week}`);
  const writes = [store.write([summaryOf({ bucket: old.bucket })]), ...[1, 2, 3].map(() => store.write([summaryOf()]))];
  const [refused, ...others] = await Promise.allSettled(writes);
  expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'partition_missing' } });
  expect(others.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
});

test('makes years of weeks one by one, so that who sends them again gets further', async () => {
  const observations: Observation[] = [];
  const database = await freshDatabase();
  const observe = (observation: Observation) => void observations.push(observation);
  const store = createPostgresStore({ database, observe, waitMs: 100 });
  const years = Array.from({ length: 300 }, (_, week) => summaryOf({ bucket: summaryOf().bucket - week * 604_800 }));
  await expect(store.write(years)).rejects.toMatchObject({ code: 'timeout' });
  expect(partitionsCreated(observations).length).toBeGreaterThan(0);
  await eventually(() => store.write(years));
  expect(partitionsCreated(observations)).toHaveLength(300);
});
