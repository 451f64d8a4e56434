import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { connect } from '../../src/database/connect.ts';
import type { Database } from '../../src/database/database.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { hasPooler, startPooler, whyNoPooler } from '../support/pooler.ts';
import { summaryOf } from '../support/summaries.ts';

const ignore = () => undefined;
const server = () => new URL(inject('postgresUrl'));

/** What operators let PgBouncer ignore so that drivers which ask for it work at all. */
const ignoring = {
  ignore_startup_parameters:
    'options,extra_float_digits,statement_timeout,idle_in_transaction_session_timeout,search_path',
};

const everything = { namePattern: undefined, from: 0, to: 4e9 };

const untilState = (database: Database, state: string) =>
  vi.waitUntil(() => database.status().state === state, { timeout: 30_000, interval: 20 });

/** The refusal, which says what to do. */
const shared = {
  state: 'refused',
  lastFailure: {
    code: 'unsupported_database',
    message: expect.stringMatching(
      /^is behind a pooler that gives each transaction another session .*pool_mode = session/,
    ),
  },
};

describe.skipIf(!hasPooler)(`behind PgBouncer${whyNoPooler}`, () => {
  test.each([
    ['with its defaults', {}],
    ['in session mode, ignoring what clients ask for', ignoring],
  ])('%s a database is used, in sessions that are as they must be', async (_, settings) => {
    const url = await freshDatabaseUrl({ isMigrated: false });
    const name = url.pathname.slice(1);
    await runSql(url, `alter database ${name} set synchronous_commit = off`);
    await runSql(url, `alter database ${name} set extra_float_digits = 0`);
    const pooler = await startPooler(server(), settings);
    const database = await freshDatabase({ url: pooler.urlOf(url), poolSizeMax: 8 });
    expect(database.status()).toMatchObject({ state: 'up', pooler: true });
    const store = createPostgresStore({ database, observe: ignore });
    const summaries = Array.from({ length: 40 }, (_, place) => summaryOf({ mean: 0.1 + place / 7 }));
    await Promise.all(summaries.map((summary) => store.write([summary])));
    const stored = (await store.select(everything)).summaries;
    expect(stored.map(({ mean }) => mean).toSorted()).toEqual(summaries.map(({ mean }) => mean).toSorted());
    for (const purpose of ['write', 'read', 'maintain', 'repair'] as const) {
      const text = `select current_setting('synchronous_commit') as commits, current_setting('extra_float_digits') as digits,
        current_setting('statement_timeout') as timeout`;
      expect((await database.query(purpose, { text })).rows).toEqual([
        { commits: 'on', digits: '1', timeout: purpose === 'repair' ? '20s' : '30s' },
      ]);
    }
  });

  test('a database that is reached directly says so', async () => {
    expect((await freshDatabase()).status()).toMatchObject({ state: 'up', pooler: false });
  });

  describe.each([
    ['transaction', {}],
    ['transaction', { server_round_robin: '1' }],
    ['transaction', { default_pool_size: '1' }],
    ['statement', {}],
  ])('in %s mode with %o a database is refused in words', (mode, more) => {
    const settings = { ...ignoring, ...more, pool_mode: mode };

    test('when nobody else uses the pooler', async () => {
      const pooler = await startPooler(server(), settings);
      const url = await freshDatabaseUrl({ isMigrated: false });
      const database = await freshDatabase({ url: pooler.urlOf(url) });
      expect(database.status()).toMatchObject(shared);
      expect(await runSql(url, `select to_regclass('summaries') as made`)).toEqual([{ made: null }]);
    });

    test('under the load of others, each time', async () => {
      const pooler = await startPooler(server(), settings);
      const url = pooler.urlOf(await freshDatabaseUrl());
      await startLoad(url, 6);
      for (let time = 0; time < 10; time += 1) {
        const database = await freshDatabase({ url });
        await untilState(database, 'refused');
        expect(database.status()).toMatchObject(shared);
        await database.close();
      }
    });
  });

  test('each connection finds out for itself that it does not keep its session', async () => {
    const pooler = await startPooler(server(), { pool_mode: 'transaction', server_round_robin: '1' });
    const url = pooler.urlOf(await freshDatabaseUrl());
    // Two sessions at least, handed out in turn.
    await startLoad(url, 2);
    const timeouts = { connectTimeoutMs: 5_000, statementTimeoutMs: 5_000, queryTimeoutMs: 5_000 };
    const connecting = () => connect([{ ssl: false, state: 'off' }], { url, timeouts, schema: 'public' });
    await expect.poll(() => connecting().then(ignore, ({ code }) => code)).toBe('unsupported_database');
  });

  test('a pooler that is told to share sessions is found out by the first write that meets it, and used again afterwards', async () => {
    const pooler = await startPooler(server());
    const database = await freshDatabase({ url: pooler.urlOf(await freshDatabaseUrl()) });
    const store = createPostgresStore({ database, observe: ignore });
    await store.write([summaryOf()]);
    await pooler.reload({ pool_mode: 'transaction' });
    // Nobody else disturbs the sessions: until then each connection is given its own again.
    await vi.waitUntil(() => store.write([summaryOf()]).then(ignore, (failure) => failure), { timeout: 20_000 });
    await untilState(database, 'refused');
    expect(database.status()).toMatchObject(shared);
    await pooler.reload({ pool_mode: 'session' });
    await untilState(database, 'up');
    await store.write([summaryOf()]);
  });

  test('a pooler that is told to share sessions with others is found out, although nobody writes', async () => {
    const pooler = await startPooler(server());
    const url = pooler.urlOf(await freshDatabaseUrl());
    const database = await freshDatabase({ url });
    await startLoad(url, 3);
    await pooler.reload({ pool_mode: 'transaction' });
    await untilState(database, 'refused');
    expect(database.status()).toMatchObject(shared);
  });

  test('a pooler that is killed or shut down makes the database down, and up again when it is back', async () => {
    const pooler = await startPooler(server());
    const database = await freshDatabase({ url: pooler.urlOf(await freshDatabaseUrl()) });
    const store = createPostgresStore({ database, observe: ignore });
    for (let time = 0; time < 3; time += 1) {
      await store.write([summaryOf()]);
      await pooler.kill();
      await untilState(database, 'down');
      await pooler.start();
      await untilState(database, 'up');
    }
    await store.write([summaryOf()]);
  });

  test.each([
    ['has one session only', { default_pool_size: '1' }, 'too_many_connections', /pool_size must be larger/],
    ['lets one client in', { max_client_conn: '1' }, 'too_many_connections', /no connection left/],
  ])('a pooler that %s is told of in words', async (_, settings, code, words) => {
    const pooler = await startPooler(server(), settings);
    const database = await freshDatabase({ url: pooler.urlOf(await freshDatabaseUrl()), connectTimeoutMs: 2_000 });
    await vi.waitUntil(() => database.status().lastFailure?.code === code, { timeout: 20_000 });
    expect(database.status().lastFailure?.message).toMatch(words);
    expect(database.status().state).toBe('down');
  });

  test('a wrong password, and a database that is not there, are for an operator', async () => {
    const pooler = await startPooler(server());
    const url = pooler.urlOf(await freshDatabaseUrl());
    url.password = 'wrong';
    expect((await freshDatabase({ url })).status().lastFailure?.code).toBe('authentication');
    const missing = pooler.urlOf(server());
    missing.pathname = '/nowhere';
    const { lastFailure } = (await freshDatabase({ url: missing })).status();
    expect(lastFailure?.code).toBe('database_missing');
  });

  test('options that the pooler refuses are told of', async () => {
    const pooler = await startPooler(server());
    const url = pooler.urlOf(await freshDatabaseUrl());
    url.searchParams.set('options', 'endpoint=of-a-provider');
    expect((await freshDatabase({ url })).status()).toMatchObject({
      lastFailure: { code: 'unsupported_database', message: expect.stringContaining('options of its URL') },
    });
  });
});

/** Short transactions of others through the pooler, until the test has finished. */
async function startLoad(url: URL, clients: number): Promise<void> {
  let isOver = false;
  const work = async () => {
    while (!isOver) {
      const client = new Client({ connectionString: url.href });
      client.on('error', ignore);
      try {
        await client.connect();
        while (!isOver) {
          await client.query('select pg_sleep(random() / 200)');
          await sleep(Math.random() * 4);
        }
      } catch {
        await sleep(20);
      }
      await client.end().catch(ignore);
    }
  };
  const working = Promise.all(Array.from({ length: clients }, work));
  onTestFinished(async () => {
    isOver = true;
    await working;
  });
}
