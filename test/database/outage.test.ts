import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';
import type { Fault } from '../support/tcp-link.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

/** A database behind a network that can break; up, unless that is broken already. */
async function proxied({
  isMigrated = true,
  fault = 'pass' as Fault,
  withinMs = { connect: 400, statement: 500 },
} = {}) {
  const direct = await freshDatabaseUrl({ isMigrated });
  const proxy = await startTcpProxy(direct, fault);
  const observations: Observation[] = [];
  const observe = (observation: Observation) => observations.push(observation);
  const { connect: connectTimeoutMs, statement } = withinMs;
  const timeoutMs = { write: statement, read: statement, maintain: statement };
  const database = await freshDatabase({ url: proxy.url, connectTimeoutMs, timeoutMs, observe });
  // A busy machine may need more than one try.
  if (fault === 'pass') await untilState(database, 'up');
  return { direct, proxy, database, observations, store: createPostgresStore({ database, observe }) };
}

function untilState(database: Database, state: string, timeout = 20_000): Promise<unknown> {
  return vi.waitUntil(() => database.status().state === state, { timeout, interval: 10 });
}

const one = { text: 'select 1 as one' };

/** Settles within this, with what the design grants a statement: connecting, and the statement by either clock. */
const boundMs = 400 + 500 + 500 + 3_000;

/** Fails without asking the server. */
function expectUnusable(database: Database, code: string): void {
  expect(() => database.checkUsable('read')).toThrow(expect.objectContaining({ name: 'Failure', code }));
}

async function expectRejection(work: Promise<unknown>, codes: readonly string[], withinMs: number): Promise<void> {
  const begun = performance.now();
  await expect(work).rejects.toMatchObject({ name: 'Failure', code: expect.toBeOneOf([...codes]) });
  expect(performance.now() - begun).toBeLessThan(withinMs);
}

test('starts without its server, fails at once meanwhile, and is migrated before its first write', async () => {
  const { direct, proxy, database, observations, store } = await proxied({ isMigrated: false, fault: 'refuse' });
  expect(database.status()).toMatchObject({ state: 'down', lastFailure: { code: 'unreachable' } });
  expectUnusable(database, 'unreachable');
  await expectRejection(store.write([summaryOf()]), ['unreachable'], boundMs);
  await proxy.set('pass');
  await untilState(database, 'up');
  await store.write([summaryOf()]);
  expect(observations.map(({ type }) => type)).toEqual([
    'database_down',
    'migrated',
    'database_up',
    'partition_created',
  ]);
  expect(await runSql(direct, 'select count(*)::int from summaries')).toEqual([{ count: 1 }]);
});

test('tells since when it is up or down', async () => {
  const begun = Date.now();
  const { proxy, database } = await proxied();
  const upSince = Date.parse(database.status().since ?? '');
  expect(upSince).toBeGreaterThanOrEqual(begun);
  await proxy.set('refuse');
  await untilState(database, 'down');
  const downSince = Date.parse(database.status().since ?? '');
  expect(downSince).toBeGreaterThan(upSince);
  // Further looks that fail are no news.
  await sleep(1_200);
  expect(Date.parse(database.status().since ?? '')).toBe(downSince);
});

test('starts while its server accepts connections and says nothing', async () => {
  const { proxy, database } = await proxied({ fault: 'black_hole' });
  expect(database.status()).toMatchObject({ state: 'down', lastFailure: { code: 'timeout' } });
  await proxy.set('pass');
  await untilState(database, 'up');
});

test('gives up within its timeouts when the server falls silent, and is down until it speaks again', async () => {
  const { proxy, database, store } = await proxied();
  await store.write([summaryOf()]);
  await proxy.set('black_hole');
  await Promise.all([
    expectRejection(store.write([summaryOf()]), ['timeout'], boundMs),
    expectRejection(database.query('read', one), ['timeout'], boundMs),
  ]);
  await untilState(database, 'down');
  expectUnusable(database, 'timeout');
  await expectRejection(database.query('read', one), ['timeout'], boundMs);
  await proxy.set('pass');
  await untilState(database, 'up');
  expect((await database.query('read', one)).rows).toEqual([{ one: 1 }]);
});

test('notices a server that falls silent, although nobody asks anything of it', async () => {
  const { proxy, database } = await proxied();
  await proxy.set('black_hole');
  await untilState(database, 'down');
});

test('rejects all that waits for a connection within its timeouts, however much that is', async () => {
  const { proxy, database } = await proxied();
  await proxy.set('black_hole');
  const codes = ['timeout', 'unreachable'];
  await Promise.all(
    Array.from({ length: 200 }, () => expectRejection(database.query('write', one), codes, boundMs + 500)),
  );
});

test('tries a server that is down by one connection at a time', async () => {
  const { proxy, database } = await proxied();
  await proxy.set('black_hole');
  await untilState(database, 'down');
  const before = proxy.accepted;
  const begun = performance.now();
  while (performance.now() - begun < 1_500) {
    await Promise.all(Array.from({ length: 20 }, () => database.query('write', one).catch(() => undefined)));
    await new Promise((done) => setTimeout(done, 10));
  }
  expect(proxy.accepted - before).toBeLessThanOrEqual(4);
});

test('is down when its server refuses, and up within seconds of its return', async () => {
  const { proxy, database } = await proxied();
  await proxy.set('refuse');
  await untilState(database, 'down');
  expectUnusable(database, 'unreachable');
  await expectRejection(database.query('write', one), ['unreachable'], boundMs);
  await proxy.set('pass');
  // Two by the design, and what a busy machine adds.
  await untilState(database, 'up', 8_000);
  await database.query('write', one);
});

test('survives the cut of all of its connections, idle and in use, and the next statement works', async () => {
  const { proxy, database, observations } = await proxied({ withinMs: { connect: 2_000, statement: 10_000 } });
  await Promise.all(Array.from({ length: 8 }, () => database.query('write', one)));
  const underWay = expectRejection(database.query('read', { text: 'select pg_sleep(8)' }), ['unreachable'], 4_000);
  await new Promise((done) => setTimeout(done, 100));
  proxy.cut();
  await underWay;
  await eventually(() => expect(observations.map(({ type }) => type)).toContain('connection_lost'));
  await database.query('write', one);
  await untilState(database, 'up');
});

test('stays up while the way to its server is slow but within its timeouts', async () => {
  const { proxy, database, observations } = await proxied({ withinMs: { connect: 2_000, statement: 2_000 } });
  proxy.delay(40);
  for (let query = 0; query < 5; query += 1) await database.query('read', one);
  await new Promise((done) => setTimeout(done, 1_500));
  expect(database.status().state).toBe('up');
  expect(database.status().roundTripMs).toBeGreaterThan(75);
  expect(observations.filter(({ type }) => type === 'database_down')).toEqual([]);
});

test('is not taken for down while it is migrated again and writes go on failing', async () => {
  const { direct, proxy, observations, store } = await proxied();
  await store.write([summaryOf()]);
  proxy.delay(15);
  await runSql(direct, 'drop table summaries');
  let isWritten = false;
  await vi.waitUntil(
    () => {
      store.write([summaryOf()]).then(
        () => {
          isWritten = true;
        },
        () => undefined,
      );
      return isWritten;
    },
    { timeout: 20_000, interval: 10 },
  );
  expect(observations.filter(({ type }) => type === 'database_down')).toEqual([]);
});

test('migrates a server that was emptied while it was out of reach before the first write to it', async () => {
  const { direct, proxy, database, store } = await proxied();
  await proxy.set('refuse');
  await untilState(database, 'down');
  await runSql(direct, 'drop schema public cascade; create schema public');
  await proxy.set('pass');
  await untilState(database, 'up');
  await store.write([summaryOf()]);
});

test('is up again soon when the network forgets its connections in the middle of a migration', async () => {
  const { direct, proxy, database } = await proxied({ isMigrated: false, fault: 'refuse' });
  const other = new Client({ connectionString: direct.href });
  await other.connect();
  onTestFinished(() => other.end());
  // Another process migrates.
  await other.query('select pg_advisory_lock(5912204387116021)');
  await proxy.set('pass');
  await eventually(async () => {
    const { rows } = await other.query("select from pg_locks where locktype = 'advisory' and not granted");
    expect(rows).toHaveLength(1);
  });
  proxy.forget();
  await other.query('select pg_advisory_unlock(5912204387116021)');
  await untilState(database, 'up', 15_000);
});

test('closes while its server is silent, without waiting for it', async () => {
  const { proxy, database } = await proxied();
  await database.query('write', one);
  await proxy.set('black_hole');
  const begun = performance.now();
  await database.close();
  expect(performance.now() - begun).toBeLessThan(5_000);
});

test('waits no longer for a lock than a statement may take', async () => {
  const { direct, database, store } = await proxied();
  await store.write([summaryOf()]);
  const locker = new Client({ connectionString: direct.href });
  await locker.connect();
  onTestFinished(() => locker.end());
  await locker.query('begin; lock table summaries in exclusive mode');
  await expectRejection(store.write([summaryOf()]), ['timeout'], boundMs);
  await locker.query('rollback');
  await store.write([summaryOf()]);
  expect(database.status().state).toBe('up');
});
