import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { blockInserts } from '../support/block-inserts.ts';
import { freshFolder, postmasterPids, startEmbeddedService } from '../support/embedded-service.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { childrenOf, isRunning, signalProcess } from '../support/processes.ts';
import { point, read, statusOf, write } from '../support/service-client.ts';
import { eventually, runProgram, type Service, type ServiceOptions, startService } from '../support/service-process.ts';

// Each starts several processes, on a machine that may be small.
vi.setConfig({ testTimeout: 90_000 });

interface Together extends Service {
  readonly urls: readonly URL[];
  workers(): number[];
}

/** Starts the service as several processes on two databases. */
async function startTogether(count: number, env: ServiceOptions['env'] = {}): Promise<Together> {
  const urls = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
  const all = { DATABASE_URLS: urls.map(String).join('|'), WEB_CONCURRENCY: String(count), ...env };
  const service = await startService({ env: all });
  const workers = () => childrenOf(service.process.pid ?? 0);
  onTestFinished(() => {
    for (const pid of workers()) signalProcess(pid, 'SIGCONT');
  });
  return { ...service, urls, workers };
}

/** Posts on a connection of its own, so that any of the processes may get it. */
function writeAnew({ url }: Service, name: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', agent: new Agent({ keepAlive: false }) };
    const sent = request(`${url}/metrics`, options, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(point(name)));
  });
}

/** The values of a metric of the service, by process. */
async function metric({ url }: Service, name: string): Promise<Map<string, number>> {
  const response = await fetch(`${url}/-/metrics`);
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text.match(new RegExp(`^# TYPE ${name} `, 'gm'))).toHaveLength(1);
  const lines = [...text.matchAll(new RegExp(`^${name}{process="(\\w+)"[^}]*} (\\S+)$`, 'gm'))];
  const values = new Map<string, number>();
  for (const [, process = '', value] of lines) values.set(process, (values.get(process) ?? 0) + Number(value));
  return values;
}

const sum = (values: ReadonlyMap<string, number>) => [...values.values()].reduce((a, b) => a + b, 0);

test('serves on one port, announces it once, and its telemetry tells of every process', async () => {
  const service = await startTogether(3);
  expect(service.workers()).toHaveLength(3);
  expect(service.output().match(/listening on/g)).toHaveLength(1);
  expect(await Promise.all(Array.from({ length: 30 }, () => writeAnew(service, 'spread')))).toEqual(
    Array(30).fill(201),
  );
  expect(await read(service, { name: 'spread' })).toMatchObject({ count: 30, complete: 'true' });
  // When the slower database has committed, too, and no process is too busy to tell.
  await eventually(async () => {
    const written = await metric(service, 'm2pg_database_summaries_written_total');
    expect([...written.keys()].toSorted()).toEqual(['1', '2', '3', 'primary']);
    // Each of the three had its share, and all together no more and no less than there is, in both databases.
    expect([...written.values()].filter((count) => count > 0)).toHaveLength(3);
    expect(sum(written)).toBe(60);
    expect((await metric(service, 'm2pg_database_up')).get('2')).toBe(2);
    expect((await metric(service, 'process_resident_memory_bytes')).size).toBe(4);
  });
  // Only the primary maintains.
  expect(service.output()).not.toMatch(/"worker":\d+[^\n]*partition/);
});

test('a worker that dies is replaced, and the others go on', async () => {
  const service = await startTogether(2);
  const [first, second] = service.workers();
  signalProcess(first ?? 0, 'SIGKILL');
  await eventually(() => expect(service.output()).toMatch(/worker \d ended by SIGKILL; it is replaced in 100 ms/));
  expect(await writeAnew(service, 'meanwhile')).toBe(201);
  await eventually(async () => expect((await metric(service, 'm2pg_database_up')).size).toBe(3), 30_000);
  expect(service.workers()).toContain(second);
  expect(service.workers()).not.toContain(first);
  expect(service.output().match(/listening on/g)).toHaveLength(1);
});

test('a worker that does not answer is left out of the telemetry, and killed at the end', async () => {
  const service = await startTogether(2);
  const [first = 0, second = 0] = service.workers();
  signalProcess(first, 'SIGSTOP');
  // A connection that is given to the one that is stopped is not answered.
  const scrape = () =>
    fetch(`${service.url}/-/metrics`, { signal: AbortSignal.timeout(3_000), headers: { Connection: 'close' } });
  await eventually(async () => {
    expect(new Set((await (await scrape()).text()).match(/process="\w+"/g)).size).toBe(2);
  });
  const begun = performance.now();
  service.process.kill('SIGTERM');
  expect(await service.exited()).toBe(0);
  expect(performance.now() - begun).toBeLessThan(20_000);
  await eventually(() => expect([first, second].filter(isRunning)).toEqual([]));
  expect(service.output()).toMatch(/stopped with work unfinished/);
});

test.each([
  ['the primary', (service: Together) => [service.process.pid ?? 0]],
  ['all processes, as Ctrl-C does', (service: Together) => [...service.workers(), service.process.pid ?? 0]],
])('SIGTERM to %s under load: what was asked is answered, and nothing stays behind', async (_, targets) => {
  const service = await startTogether(2, { WRITE_TIMEOUT_MS: '30000' });
  const workers = service.workers();
  const outcomes: { sentAtMs: number; status?: number; error?: unknown }[] = [];
  let isOver = false;
  const clients = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      const sentAtMs = performance.now();
      await write(service, point('load')).then(
        ({ status }) => outcomes.push({ sentAtMs, status }),
        (error) => {
          isOver = true;
          outcomes.push({ sentAtMs, error });
        },
      );
    }
  });
  await eventually(() => expect(outcomes.length).toBeGreaterThan(100));
  // Each client now waits for an answer.
  const release = await Promise.all(service.urls.map(blockInserts));
  await sleep(500);
  const signalledAtMs = performance.now();
  for (const pid of targets(service)) signalProcess(pid, 'SIGTERM');
  await sleep(500);
  await Promise.all(release.map((give) => give()));
  expect(await service.exited()).toBe(0);
  expect(performance.now() - signalledAtMs).toBeLessThan(8_000);
  isOver = true;
  await Promise.all(clients);
  const asked = outcomes.filter(({ sentAtMs }) => sentAtMs < signalledAtMs - 20);
  expect(asked.filter(({ status }) => status !== 201)).toEqual([]);
  expect(workers.filter(isRunning)).toEqual([]);
  expect(service.output()).not.toMatch(/unfinished/);
  const stored = outcomes.filter(({ status }) => status === 201).length;
  const [row] = await runSql(service.urls[0] as URL, 'select count(*)::int as count from summaries');
  expect(row?.count).toBeGreaterThanOrEqual(stored);
});

test('workers do not outlive a primary that is killed', async () => {
  const service = await startTogether(2);
  const workers = service.workers();
  service.process.kill('SIGKILL');
  await eventually(() => expect(workers.filter(isRunning)).toEqual([]));
});

test('when workers cannot be started any more, the whole ends and says why', async () => {
  const service = await startTogether(2);
  const [first = 0] = service.workers();
  // A later version has migrated the databases: this one must not touch them.
  for (const url of service.urls) {
    await runSql(url, "insert into m2pg_migrations (name, run_on) values ('9999_from_the_future', now())");
  }
  signalProcess(first, 'SIGKILL');
  await service.exited();
  expect(service.process.exitCode).toBe(1);
  expect(service.output()).toMatch(/db1 is refused: it /);
  expect(service.output()).toMatch(/worker processes cannot be started: .* by exit code 1$/m);
  expect(service.workers().filter(isRunning)).toEqual([]);
});

test('a port that is taken is the end at once', async () => {
  const other = await startTogether(2);
  const { port } = new URL(other.url);
  const env = { DATABASE_URLS: other.urls.map(String).join('|'), WEB_CONCURRENCY: '2', PORT: port, HOST: '127.0.0.1' };
  const program = runProgram([], { env });
  expect(await program.exited()).toBe(1);
  expect(program.output()).toContain(`port ${port} is taken; set PORT to another one`);
  expect(program.output()).not.toContain('is replaced');
  expect(await statusOf(other, '/-/ready')).toBe(200);
});

test('servers of our own are started once, by the primary, and stopped after the workers', async () => {
  const cwd = await freshFolder();
  const service = await startEmbeddedService({ cwd, env: { WEB_CONCURRENCY: '2', WRITE_ACKS: 'all' } });
  expect(service.output().match(/ started, data in/g)).toHaveLength(2);
  const pids = postmasterPids(cwd);
  expect((await write(service, point('embedded'))).copies).toBe('2/2');
  service.process.kill('SIGINT');
  expect(await service.exited()).toBe(0);
  expect(pids.filter(isRunning)).toEqual([]);
  expect(service.output()).not.toMatch(/unfinished|missed/);
});
