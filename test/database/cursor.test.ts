import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createConnectionPool } from '../../src/database/connection-pool.ts';
import { type CursorTimes, openCursor } from '../../src/database/cursor.ts';
import type { Database } from '../../src/database/database.ts';
import type { TlsAttempt } from '../../src/database/tls.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { eventually } from '../support/service-process.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

/** A cursor on a connection of its own, whose times are those of a test and not of hours. */
async function openFor(times: CursorTimes, url: URL) {
  const timeouts = { connectTimeoutMs: 10_000, statementTimeoutMs: 10_000, queryTimeoutMs: 10_000 };
  const stream = () => new Socket();
  const ignore = () => undefined;
  const attempt = { ssl: false } as TlsAttempt;
  const pool = createConnectionPool({
    url,
    attempt,
    timeouts,
    stream,
    settings: {},
    sizeMax: 1,
    onConnectionLost: ignore,
  });
  onTestFinished(() => pool.end());
  return { cursor: await openCursor(pool, numbers(1_000_000), times), pool };
}

const numbers = (count: number) => ({ text: 'select n from generate_series(1, $1) n', values: [count] });

/** With so few there is one connection for reads: whoever keeps it keeps all others waiting. */
const one = { poolSizeMax: 2 };

async function backendOf(database: Database): Promise<number> {
  return (await database.query('read', { text: 'select pg_backend_pid() as pid' })).rows[0].pid;
}

test('gives the rows of a statement by and by, and its connection back after the last', async () => {
  const database = await freshDatabase(one);
  const before = await backendOf(database);
  const cursor = await database.open('read', numbers(25));
  const pages = [await cursor.read(10), await cursor.read(10), await cursor.read(10), await cursor.read(10)];
  expect(pages.map(({ length }) => length)).toEqual([10, 10, 5, 0]);
  expect(pages[1]?.[0]).toEqual([11]);
  expect(await backendOf(database)).toBe(before);
  await cursor.close();
});

test('gives its connection back when it is closed before the last row', async () => {
  const database = await freshDatabase(one);
  const before = await backendOf(database);
  const cursor = await database.open('read', numbers(1_000_000));
  await cursor.read(10);
  await cursor.close();
  await cursor.close();
  expect(await backendOf(database)).toBe(before);
  expect(await cursor.read(10)).toEqual([]);
});

test('keeps the connection that reported an error in the statement', async () => {
  const database = await freshDatabase(one);
  const before = await backendOf(database);
  const atOnce = database.open('read', { text: "select 'a' ~ '('" });
  await expect(atOnce).rejects.toMatchObject({ code: 'invalid_pattern' });
  const later = await database.open('read', { text: "select 'a' ~ n from unnest(array['a', '(']) as n" });
  await expect(later.read(10)).rejects.toMatchObject({ code: 'invalid_pattern' });
  expect(await backendOf(database)).toBe(before);
});

test('gives up a fetch that takes too long, and the server ends the statement', async () => {
  const database = await freshDatabase({ ...one, timeoutMs: { write: 200, read: 200, maintain: 200 } });
  const cursor = await database.open('read', {
    text: 'select pg_sleep(case when n = 2 then 5 end) from generate_series(1, 2) n',
  });
  await expect(cursor.read(10)).rejects.toMatchObject({ code: 'timeout' });
  expect((await database.query('read', { text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
});

test('counts no time in which nobody asks, and gives every row', async () => {
  const database = await freshDatabase({ ...one, timeoutMs: { write: 400, read: 400, maintain: 400 } });
  const cursor = await database.open('read', numbers(30));
  const pages: unknown[][] = [];
  for (let page = 0; page < 3; page += 1) {
    pages.push(...(await cursor.read(10)));
    await sleep(600);
  }
  expect(pages).toHaveLength(30);
  expect(await cursor.read(10)).toEqual([]);
});

test('that has ended before its last row says so, and is not taken for one that has none', async () => {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ ...one, url });
  const cursor = await database.open('read', numbers(1_000_000));
  await cursor.read(10);
  await runSql(url, "select pg_terminate_backend(pid, 1000) from pg_stat_activity where query like 'fetch%'");
  for (let time = 0; time < 2; time += 1) {
    await expect(cursor.read(10)).rejects.toMatchObject({ code: 'unreachable' });
  }
  expect((await database.query('read', { text: 'select 1 as one' })).rows).toEqual([{ one: 1 }]);
});

test('frees itself from a server that falls silent between two fetches', async () => {
  const proxy = await startTcpProxy(await freshDatabaseUrl());
  const timeoutMs = { write: 300, read: 300, maintain: 300 };
  const database = await freshDatabase({ ...one, url: proxy.url, timeoutMs, connectTimeoutMs: 1_500 });
  await eventually(() => expect(database.status().state).toBe('up'));
  const cursor = await database.open('read', numbers(10_000));
  await cursor.read(10);
  await proxy.set('black_hole');
  const begun = performance.now();
  await expect(cursor.read(10)).rejects.toMatchObject({ code: 'timeout' });
  await cursor.close();
  expect(performance.now() - begun).toBeLessThan(8_000);
});

describe('a cursor whose rows are asked for now and then', () => {
  test('is kept, however long that takes, also by a server that hears nothing meanwhile', async () => {
    const times = { idleMs: 700, callEveryMs: 50, silentMs: 250 };
    const { cursor } = await openFor(times, await freshDatabaseUrl());
    const rows: unknown[][] = [];
    // Longer than any of the times, and so is each pause but for that in which nobody asks.
    for (let page = 0; page < 6; page += 1) {
      rows.push(...(await cursor.read(10)));
      await sleep(400);
    }
    expect(rows.map(([n]) => n)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
    await cursor.close();
  });

  test('is closed when nobody asks any more, and says so to whoever does', async () => {
    const { cursor, pool } = await openFor(
      { idleMs: 300, callEveryMs: 50, silentMs: 10_000 },
      await freshDatabaseUrl(),
    );
    await cursor.read(10);
    // The only connection is free again.
    const client = await pool.take();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    client.release();
    await expect(cursor.read(10)).rejects.toThrow('asked for no row in 300 ms');
  });

  test('is let go of by the server when we are gone without a word', async () => {
    const url = await freshDatabaseUrl();
    const { cursor } = await openFor({ idleMs: 60_000, callEveryMs: 60_000, silentMs: 200 }, url);
    await cursor.read(10);
    const open = `select count(*)::int as n from pg_stat_activity
      where datname = current_database() and state = 'idle in transaction'`;
    expect(await runSql(url, open)).toEqual([{ n: 1 }]);
    await eventually(async () => expect(await runSql(url, open)).toEqual([{ n: 0 }]));
    await expect(cursor.read(10)).rejects.toThrow();
  });

  test('learns that its connection is gone before somebody asks', async () => {
    const url = await freshDatabaseUrl();
    const { cursor, pool } = await openFor({ idleMs: 60_000, callEveryMs: 50, silentMs: 60_000 }, url);
    await cursor.read(10);
    await runSql(
      url,
      "select pg_terminate_backend(pid, 1000) from pg_stat_activity where state = 'idle in transaction'",
    );
    (await pool.take()).release();
    await expect(cursor.read(10)).rejects.toThrow();
  });
});
