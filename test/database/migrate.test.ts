import { Client } from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { migrate } from '../../src/database/migrate.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { summaryOf } from '../support/summaries.ts';

const empty = { isMigrated: false };

/** A name for a database or a role, which the whole server shares. */
const uniqueName = () => `test_${crypto.randomUUID().replaceAll('-', '')}`;

async function connectTo(url: URL): Promise<Client> {
  const client = new Client({ connectionString: url.href });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function hasTrigramIndex(url: URL): Promise<unknown> {
  const rows = await runSql(url, `select to_regclass('series_name_trigrams') is not null as found`);
  return rows[0]?.found;
}

test('migrates an empty database once while five processes race for it', async () => {
  const url = await freshDatabaseUrl(empty);
  const clients = await Promise.all(Array.from({ length: 5 }, () => connectTo(url)));
  const migrated = await Promise.all(clients.map(migrate));
  expect(migrated.filter((names) => names.length > 0)).toHaveLength(1);
  const recorded = await runSql(url, 'select name from m2pg_migrations order by id');
  expect(recorded.map(({ name }) => name)).toEqual(migrated.flat());
  expect(migrated.flat()).toContain('0001_series_and_summaries');
});

test('finds nothing to do in a database that is up to date, and leaves its data and identity alone', async () => {
  const url = await freshDatabaseUrl();
  const identity = () => runSql(url, 'select id from database_identity');
  await runSql(url, `insert into series (name) values ('a')`);
  const before = await identity();
  expect(await migrate(await connectTo(url))).toEqual([]);
  expect(await identity()).toEqual(before);
  expect(await runSql(url, 'select name from series')).toEqual([{ name: 'a' }]);
});

test('leaves what is there alone when the migrations run again', async () => {
  const url = await freshDatabaseUrl();
  const contents = () =>
    Promise.all([runSql(url, 'select * from database_identity'), runSql(url, 'select * from series')]);
  await runSql(url, `insert into series (name) values ('a')`);
  const before = await contents();
  await runSql(url, 'drop table m2pg_migrations');
  expect(await migrate(await connectTo(url))).not.toEqual([]);
  expect(await contents()).toEqual(before);
});

test('refuses a database that a newer m2pg has migrated, and names what it does not know', async () => {
  const url = await freshDatabaseUrl();
  await runSql(url, `insert into m2pg_migrations (name, run_on) values ('9999_sketches', now())`);
  await expect(migrate(await connectTo(url))).rejects.toMatchObject({
    code: 'schema_newer',
    message: expect.stringContaining('9999_sketches'),
  });
  const database = await freshDatabase({ url });
  expect(database.status()).toMatchObject({ state: 'refused', lastFailure: { code: 'schema_newer' } });
  await expect(database.query('write', { text: 'select 1' })).rejects.toMatchObject({ code: 'schema_newer' });
});

test('refuses a database that is not in UTF-8, and creates nothing in it', async () => {
  const name = uniqueName();
  const serverUrl = new URL(inject('postgresUrl'));
  await runSql(serverUrl, `create database ${name} encoding 'SQL_ASCII' locale 'C' template template0`);
  onTestFinished(() => runSql(serverUrl, `drop database ${name} with (force)`).then(() => undefined));
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await expect(migrate(await connectTo(url))).rejects.toMatchObject({
    code: 'unsupported_database',
    message: expect.stringContaining('SQL_ASCII'),
  });
  expect(await runSql(url, `select 1 from pg_class where relnamespace = 'public'::regnamespace`)).toEqual([]);
});

test('refuses a database without a schema to create tables in', async () => {
  const url = await freshDatabaseUrl(empty);
  await runSql(url, 'drop schema public');
  await expect(migrate(await connectTo(url))).rejects.toMatchObject({ code: 'database_missing' });
});

test('makes the trigram index where the extension may be created', async () => {
  const url = await freshDatabaseUrl(empty);
  await migrate(await connectTo(url));
  expect(await hasTrigramIndex(url)).toBe(true);
});

test('migrates, writes and reads by pattern as a role that may not create the extension', async () => {
  const url = await freshDatabaseUrl(empty);
  const role = uniqueName();
  await runSql(url, `create role ${role} login password 'secret'; alter schema public owner to ${role}`);
  // Registered later than the end of its database, so done before it: the role owns what is in there.
  onTestFinished(() => runSql(url, `drop owned by ${role}; drop role ${role}`).then(() => undefined));
  const own = new URL(url);
  [own.username, own.password] = [role, 'secret'];
  const database = await freshDatabase({ url: own });
  const store = createPostgresStore({ database, observe: () => undefined });
  const summary = summaryOf({ name: 'foo.web' });
  await store.write([summary, summaryOf({ name: 'foo.db' })]);
  const { summaries } = await store.select({ namePattern: 'w.b', from: 0, to: 4e9 });
  expect(summaries).toEqual([summary]);
  expect(await hasTrigramIndex(url)).toBe(false);
});

test('waits for no more than some seconds for a process that was lost in the middle of migrating', async () => {
  const url = await freshDatabaseUrl(empty);
  const lost = await connectTo(url);
  lost.on('error', () => undefined);
  const query = lost.query.bind(lost);
  const hasLock = new Promise<void>((resolve) => {
    // Its connection is open as far as the server knows, and nothing comes from it any more.
    Object.assign(lost, {
      async query(text: string, values?: unknown[]) {
        const result = await query(text, values);
        if (!text.includes('pg_advisory_lock')) return result;
        resolve();
        return new Promise(() => undefined);
      },
    });
  });
  void migrate(lost);
  await hasLock;
  const begun = performance.now();
  expect(await migrate(await connectTo(url))).toContain('0001_series_and_summaries');
  expect(performance.now() - begun).toBeLessThan(15_000);
});

/** Has every table that is created do something first, as an operator's event trigger may. */
const whenCreating = (url: URL, statement: string) =>
  runSql(
    url,
    `create function before_tables() returns event_trigger language plpgsql as $$begin ${statement}; end$$;
     create event trigger before_tables on ddl_command_start when tag in ('CREATE TABLE') execute function before_tables()`,
  );

test.each([
  ['58P01', 'damaged', 'lacks a file of its installation or of its data'],
  ['53100', 'disk_full', 'has no room left on its disk'],
  ['53200', 'out_of_resources', 'is out of memory'],
  ['XX000', 'unknown', 'met an internal error'],
])(
  'tells an error %s in the first statements of a migration for what the server said',
  async (errcode, code, words) => {
    const url = await freshDatabaseUrl(empty);
    await whenCreating(url, `raise exception 'said by the server' using errcode = '${errcode}'`);
    const { lastFailure } = (await freshDatabase({ url })).status();
    expect(lastFailure).toMatchObject({ code, message: words });
    const raised = await migrate(await connectTo(url)).catch((error) => error);
    expect(raised).toMatchObject({ code: errcode, message: 'said by the server' });
  },
);

test('tells the end of its connection in the midst of a migration for that', async () => {
  const url = await freshDatabaseUrl(empty);
  await whenCreating(url, 'perform pg_sleep(60)');
  const observations: Observation[] = [];
  const starting = freshDatabase({ url, observe: (observation) => observations.push(observation) });
  const text = `select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'`;
  await expect.poll(() => runSql(url, text), { timeout: 20_000 }).toHaveLength(1);
  expect((await starting).status()).toMatchObject({ state: 'down', lastFailure: { code: 'unreachable' } });
  expect(observations).toMatchObject([
    { type: 'database_down', failure: { code: 'unreachable', cause: { code: '57P01' } } },
  ]);
});
