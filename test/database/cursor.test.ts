import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { eventually } from '../support/service-process.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

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
  const cursor = await database.open('read', numbers(1_000_000));
  await cursor.read(10);
  await proxy.set('black_hole');
  const begun = performance.now();
  await expect(cursor.read(10)).rejects.toMatchObject({ code: 'timeout' });
  await cursor.close();
  expect(performance.now() - begun).toBeLessThan(8_000);
});
