import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { blockInserts } from '../support/block-inserts.ts';
import { createFragileServers, type FragileServer } from '../support/fragile-server.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, statusOf, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { startWatch } from '../support/stalls.ts';
import { idsIn } from '../support/stored.ts';

let servers: [FragileServer, FragileServer];
let urls: [URL, URL];

beforeAll(async () => {
  servers = (await createFragileServers(2)) as [FragileServer, FragileServer];
});

afterEach(() => Promise.all(servers.map((server) => server.restore())));

afterAll(() => Promise.all((servers ?? []).map((server) => server.remove())));

async function startOnBoth(env: Record<string, string> = {}): Promise<Service> {
  urls = (await Promise.all(servers.map((server) => server.createDatabase()))) as [URL, URL];
  return startService({ env: { ...databaseUrls(urls), ...env } });
}

/** A service that waits for something in vain is cut off after nine seconds. */
const promptlyMs = 6_000;

/** How many statements of ours wait for a lock. */
async function waitingIn(url: URL): Promise<number> {
  const text = `select count(*)::int as waiting from pg_stat_activity
    where datname = current_database() and application_name = 'm2pg' and wait_event_type = 'Lock'`;
  const [row] = await runSql(url, text);
  return Number(row?.waiting);
}

async function expectInsertWaiting(url: URL): Promise<void> {
  await eventually(async () => expect(await waitingIn(url)).toBeGreaterThan(0));
}

/** Waits for the process to end. @returns Its exit code and how long it took. */
async function exitOf(service: Service): Promise<{ code: number | null; durationMs: number }> {
  const watch = startWatch();
  const code = await service.exited();
  return { code, durationMs: watch() };
}

test('SIGTERM under load: what was asked is answered, and what was acknowledged is stored', async () => {
  const all = [...(await Promise.all(servers.map((server) => server.createDatabase()))), await freshDatabaseUrl()];
  const service = await startService({ env: databaseUrls(all) });
  const outcomes: { sentAtMs: number; ids?: readonly string[]; error?: unknown }[] = [];
  let isOver = false;
  // Each on connections that are kept, as a client library does.
  const clients = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      const sentAtMs = performance.now();
      await write(service, [point('load'), point('load')]).then(
        ({ status, ids }) => outcomes.push(status === 201 ? { sentAtMs, ids } : { sentAtMs, error: status }),
        (error) => {
          isOver = true;
          outcomes.push({ sentAtMs, error });
        },
      );
    }
  });
  await eventually(() => expect(outcomes.length).toBeGreaterThan(300));
  const signalledAtMs = performance.now();
  service.process.kill('SIGTERM');
  const { code, durationMs } = await exitOf(service);
  isOver = true;
  await Promise.all(clients);

  expect(code).toBe(0);
  expect(durationMs).toBeLessThan(promptlyMs);
  // One that was sent in the same instant may have found its connection closed: it was never taken.
  const asked = outcomes.filter(({ sentAtMs }) => sentAtMs < signalledAtMs - 20);
  expect(asked.filter(({ error }) => error !== undefined)).toEqual([]);
  const acknowledged = outcomes.flatMap(({ ids = [] }) => ids);
  for (const url of all) {
    const stored = new Set(await idsIn(url));
    expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
  }
  expect(service.output()).not.toMatch(/unfinished/);
});

test('SIGTERM: requests that wait for a database are answered before the end', async () => {
  const service = await startOnBoth({ WRITE_TIMEOUT_MS: '8000' });
  const release = await Promise.all(urls.map(blockInserts));
  const answers = Promise.all(Array.from({ length: 20 }, () => write(service, point('waiting'))));
  answers.catch(() => undefined);
  await Promise.all(urls.map(expectInsertWaiting));
  // The first has arrived; the others are given the time to.
  await sleep(300);
  service.process.kill('SIGTERM');
  await eventually(() => expect(service.output()).toMatch(/SIGTERM: stopping/));
  await sleep(200);
  await Promise.all(release.map((give) => give()));
  expect((await answers).map(({ status }) => status)).toEqual(Array(20).fill(201));
  const { code, durationMs } = await exitOf(service);
  expect(code).toBe(0);
  // Connections that clients keep open hold nothing up.
  expect(durationMs).toBeLessThan(promptlyMs);
});

/** Keeps every read of a database waiting until the test has finished. */
async function blockReads(url: URL): Promise<void> {
  const client = new Client({ connectionString: url.href });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end().catch(() => undefined));
  await client.query('begin; lock table series in access exclusive mode');
}

test('SIGTERM: reads that wait for a database are answered before the end, with what the others hold', async () => {
  const service = await startOnBoth({ POOL_SIZE_MAX: '4' });
  expect((await write(service, point('waiting'))).status).toBe(201);
  await eventually(async () => expect(await read(service, {})).toMatchObject({ count: 1, complete: 'true' }));
  await blockReads(urls[1]);
  const answers = [1, 2].map(() => read(service, { name: 'waiting' }));
  await eventually(async () => expect(await waitingIn(urls[1])).toBe(2));
  // And one that waits for its turn.
  const late = read(service, { name: 'waiting' });
  await sleep(300);
  service.process.kill('SIGTERM');
  for (const answer of await Promise.all(answers)) {
    expect(answer).toMatchObject({ status: 200, count: 1, complete: 'false', databases: 'db1=ok, db2=timeout' });
  }
  expect((await late).status).toBe(503);
  const { code } = await exitOf(service);
  expect(code).toBe(0);
  expect(service.output()).not.toMatch(/unfinished/);
});

test('SIGTERM: a read that no database answers is refused before the end', async () => {
  const service = await startOnBoth();
  await Promise.all(urls.map(blockReads));
  const answer = read(service, { name: 'waiting' });
  await eventually(async () => expect(await waitingIn(urls[1])).toBe(1));
  service.process.kill('SIGTERM');
  expect((await answer).status).toBe(503);
  expect((await exitOf(service)).code).toBe(0);
});

test('SIGTERM: what cannot be answered in nine seconds is cut off, and the log says so', async () => {
  const service = await startOnBoth({ WRITE_TIMEOUT_MS: '60000' });
  await Promise.all(urls.map(blockInserts));
  const answer = write(service, point('waiting')).then(({ status }) => status, String);
  await Promise.all(urls.map(expectInsertWaiting));
  service.process.kill('SIGTERM');
  expect(await answer).toMatch(/fetch failed/);
  expect((await exitOf(service)).code).toBe(0);
  expect(service.output()).toMatch(/"requestsCutOff":1,"msg":"stopped with work unfinished"/);
});

test('SIGTERM: a write that was answered still reaches the slow database', async () => {
  const service = await startOnBoth();
  const release = await blockInserts(urls[1]);
  const { ids, copies } = await write(service, point('slow'));
  expect(copies).toBe('1/2');
  await expectInsertWaiting(urls[1]);
  service.process.kill('SIGTERM');
  await sleep(500);
  expect(service.process.exitCode).toBeNull();
  await release();
  expect((await exitOf(service)).code).toBe(0);
  expect(await idsIn(urls[1])).toEqual(ids);
});

test('SIGTERM: a frozen database holds the end up for at most ten seconds', async () => {
  const service = await startOnBoth();
  await write(service, point('before'));
  servers[1].freeze();
  await Promise.all(Array.from({ length: 20 }, () => write(service, point('frozen'))));
  service.process.kill('SIGTERM');
  const { code, durationMs } = await exitOf(service);
  expect(code).toBe(0);
  expect(durationMs).toBeLessThan(10_000);
});

test('the same Idempotency-Key counts once after the first answer was lost', async () => {
  const service = await startOnBoth();
  const release = await Promise.all(urls.map(blockInserts));
  const body = [point('once'), point('once')];
  const lost = request(`${service.url}/metrics`, {
    method: 'POST',
    headers: { 'Idempotency-Key': 'lost' },
    agent: new Agent(),
  });
  lost.on('error', () => undefined);
  lost.end(JSON.stringify(body));
  await Promise.all(urls.map(expectInsertWaiting));
  lost.destroy();
  await Promise.all(release.map((give) => give()));

  const again = await write(service, body, { 'Idempotency-Key': 'lost' });
  expect(again.status).toBe(201);
  expect(new Set(again.ids).size).toBe(2);
  await eventually(async () => {
    for (const url of urls) expect(await idsIn(url)).toEqual(again.ids.toSorted());
  });
  expect(await read(service, { name: 'once' })).toMatchObject({ count: 2, complete: 'true' });
  expect(await statusOf(service, '/-/healthy')).toBe(200);
});

test('SIGTERM: connections on which nothing was asked hold nothing up', async () => {
  const service = await startOnBoth();
  const { port, hostname } = new URL(service.url);
  const silent = connect(Number(port), hostname);
  silent.on('error', () => undefined);
  onTestFinished(() => void silent.destroy());
  await once(silent, 'connect');
  expect((await write(service, point('kept'))).status).toBe(201);
  service.process.kill('SIGTERM');
  const { code, durationMs } = await exitOf(service);
  expect(code).toBe(0);
  expect(durationMs).toBeLessThan(promptlyMs);
});
