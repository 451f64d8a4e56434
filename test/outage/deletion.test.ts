import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { runToEnd } from '../support/finished-program.ts';
import { createFragileServers, type FragileServer } from '../support/fragile-server.ts';
import { runSql } from '../support/fresh-database.ts';
import { startProxiedService } from '../support/proxied-service.ts';
import { point, read, readComplete, statesOf, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: patientMs });

let servers: [FragileServer, FragileServer, FragileServer];

beforeAll(async () => {
  servers = (await createFragileServers(3)) as typeof servers;
});

afterEach(() => Promise.all(servers.map((server) => server.restore())));

afterAll(() => Promise.all((servers ?? []).map((server) => server.remove())));

const namesIn = async (url: URL) =>
  (await runSql(url, 'select distinct name from summaries join series on series_id = series.id order by 1')).map(
    ({ name }) => name,
  );

const deleteName = async (service: Service, query: string) => {
  const response = await fetch(`${service.url}/metrics?${query}`, { method: 'DELETE' });
  return { status: response.status, body: await response.json() };
};

test('a metric that was deleted while a database was away is gone there too when it returns, everything restarted meanwhile', async () => {
  const urls = await Promise.all(servers.map((server) => server.createDatabase()));
  const env = { DATABASE_URLS: urls.join('|') };
  const first = await startService({ env });
  const ids: string[] = [];
  for (const name of ['wrong', 'right', 'wrong']) ids.push(...(await write(first, point(name))).ids);
  expect(ids).toHaveLength(3);
  await untilEqual(urls, ids);

  await servers[1].kill();
  const { status, body } = await deleteName(first, 'name=wrong');
  expect(status).toBe(200);
  expect(body).toMatchObject({
    databases: {
      db1: { outcome: 'ok', done: true },
      db2: { deleted: 0, done: false },
      db3: { outcome: 'ok', done: true },
    },
  });
  for (const url of [urls[0], urls[2]]) expect(await namesIn(url as URL)).toEqual(['right']);
  first.process.kill('SIGKILL');
  await first.exited();

  await servers[1].start();
  const second = await startService({ env });
  await eventually(async () => {
    for (const url of urls) expect(await namesIn(url)).toEqual(['right']);
  }, 40_000);
  expect(await readComplete(second, {})).toMatchObject({ count: 1 });

  // A database that returns is used only when it has deleted what it was to delete.
  await servers[1].kill();
  await runToEnd(['delete', '--name', 'right', '--yes'], urls);
  await servers[1].start();
  await eventually(async () => expect(await read(second, {})).toMatchObject({ count: 0, complete: 'true' }));
  expect(await namesIn(urls[1] as URL)).toEqual([]);
});

test('a standby brings back nothing that was deleted meanwhile, and deletes it before it is used as a primary', async () => {
  const urls = (await Promise.all(servers.map((server) => server.createDatabase()))) as [URL, URL, URL];
  const [a, b, c] = urls;
  const service = await startService({ env: { DATABASE_URLS: urls.join('|') } });
  // Their ids, which are made of the key, do not tell when they were made; their minute is at rest.
  const old = { ...point('wrong'), bucket: Math.floor(Date.now() / 1000) - 600 };
  await untilEqual(urls, (await write(service, [old, old], { 'Idempotency-Key': 'key' })).ids);

  // In its data directory.
  await runSql(b, "copy (select where false) to '/proc/self/cwd/standby.signal'");
  await servers[1].stop();
  await servers[1].start();
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'read_only', 'up']));
  expect((await deleteName(service, 'name=wrong')).status).toBe(200);
  // Long enough for repair.
  for (const endMs = performance.now() + 10_000; performance.now() < endMs; await sleep(200)) {
    for (const url of [a, c]) expect(await namesIn(url)).toEqual([]);
  }
  expect(await namesIn(b)).toEqual(['wrong']);

  await runSql(b, 'select pg_promote(wait => false)');
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']));
  expect(await namesIn(b)).toEqual([]);
  await untilEqual(urls, []);
  expect(await read(service, {})).toMatchObject({ count: 0, complete: 'true' });
});

test('a database that cannot say what was deleted keeps another from its return for seconds, not for a minute', async () => {
  const { service, urls, proxies } = await startProxiedService({ count: 2 });
  await proxies[1]?.set('refuse');
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'down']));
  const client = new Client({ connectionString: urls[0]?.href });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query('begin; lock table deletions');
  await proxies[1]?.set('pass');
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']), 15_000);
});

test('what is wrong with a deletion is said, and nothing is deleted', async () => {
  const urls = await Promise.all(servers.map((server) => server.createDatabase()));
  const service = await startService({ env: { DATABASE_URLS: urls.join('|') } });
  expect(await deleteName(service, '')).toMatchObject({
    status: 422,
    body: { errors: [{ path: 'name', message: expect.stringContaining('the whole name of the metric') }] },
  });
  expect((await deleteName(service, 'name=a&from=soon')).status).toBe(422);
  expect((await deleteName(service, 'name=a&form=-1h')).status).toBe(422);
  expect((await deleteName(service, 'name=a&from=now&to=-1h')).status).toBe(422);
  for (const server of servers) await server.kill();
  expect((await deleteName(service, 'name=a')).status).toBe(503);
});

test('the command deletes by name or pattern, asks before, and tells what it did', async () => {
  const urls = await Promise.all(servers.map((server) => server.createDatabase()));
  const service = await startService({ env: { DATABASE_URLS: urls.join('|') } });
  for (const name of ['a.1', 'a.2', 'b']) await write(service, point(name));
  await eventually(async () => {
    for (const url of urls) expect(await namesIn(url)).toHaveLength(3);
  });
  expect(await runToEnd(['delete', '--match', '^a', '--dry-run'], urls)).toMatchObject({
    code: 0,
    stdout: 'a.1\na.2\n',
  });
  expect(await runToEnd(['delete', '--match', '^a'], urls)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('--yes'),
  });
  for (const wrong of [[], ['--name', 'a', '--match', 'b'], ['--name'], ['--name', 'a', '--from', 'soon']]) {
    expect((await runToEnd(['delete', ...wrong, '--yes'], urls)).code).toBeGreaterThan(0);
  }
  expect(await namesIn(urls[0] as URL)).toHaveLength(3);
  // It would do what it finds noted, and the command have less to count.
  service.process.kill('SIGTERM');
  await service.exited();
  const done = await runToEnd(['delete', '--match', '^a', '--yes'], urls);
  expect(done.code).toBe(0);
  expect(done.stdout).toContain('a.1: db1 deleted 1 summaries, db2 deleted 1 summaries, db3 deleted 1 summaries\n');
  for (const url of urls) expect(await namesIn(url)).toEqual(['b']);
});
