import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  freshFolder,
  killServers,
  pidFileOf,
  postmasterPids,
  readPidFile,
  startEmbeddedService,
} from '../support/embedded-service.ts';
import { isRunning } from '../support/processes.ts';
import { point, read, write } from '../support/service-client.ts';
import { runProgram, type Service } from '../support/service-process.ts';

const run = promisify(execFile);

/** Data without summaries: copied, which is faster than to make it anew. */
let prepared: string;

beforeAll(async () => {
  prepared = await mkdtemp(join(tmpdir(), 'm2pg-prepared-'));
  await run(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), 'migrate'], { cwd: prepared });
});

afterAll(() => rm(prepared, { recursive: true, force: true }));

async function preparedFolder(): Promise<string> {
  const cwd = await freshFolder();
  await run('cp', ['-a', join(prepared, '.m2pg'), cwd]);
  return cwd;
}

/** A folder whose service has stored one summary in both databases and was then killed, its servers left running. */
async function crashedService(): Promise<{ cwd: string; pids: number[] }> {
  const cwd = await preparedFolder();
  const service = await startEmbeddedService({ cwd, env: { WRITE_ACKS: 'all' } });
  expect((await write(service, point('before'))).copies).toBe('2/2');
  service.process.kill('SIGKILL');
  await service.exited();
  return { cwd, pids: postmasterPids(cwd) };
}

async function expectWhole(service: Service): Promise<void> {
  expect(await read(service, { name: 'before' })).toMatchObject({ count: 1, databases: 'db1=ok, db2=ok' });
  expect((await write(service, point('after'))).status).toBe(201);
}

test('after the program was killed, the servers that still run are taken over', async () => {
  const { cwd, pids } = await crashedService();
  expect(pids.filter(isRunning)).toHaveLength(2);
  const service = await startEmbeddedService({ cwd });
  expect(service.output().match(/was running, taken over/g)).toHaveLength(2);
  expect(postmasterPids(cwd)).toEqual(pids);
  await expectWhole(service);
  // They are its own now.
  service.process.kill('SIGTERM');
  expect(await service.exited()).toBe(0);
  expect(pids.filter(isRunning)).toEqual([]);
});

test('after the program and its servers were killed, it starts again on their data', async () => {
  const { cwd, pids } = await crashedService();
  await killServers(cwd);
  expect(pids.filter(isRunning)).toEqual([]);
  // What they leave behind names processes that are gone.
  expect(postmasterPids(cwd)).toEqual(pids);
  const service = await startEmbeddedService({ cwd });
  expect(service.output().match(/ started, data in/g)).toHaveLength(2);
  await expectWhole(service);
});

test('process ids that now belong to another program, or to each other, keep no server from starting', async () => {
  const { cwd } = await crashedService();
  await killServers(cwd);
  const [, ...rest] = readPidFile(cwd, 'db1');
  await writeFile(pidFileOf(cwd, 'db1'), [String(process.pid), ...rest].join('\n'));
  // The number was given to a PostgreSQL that has nothing to do with this data.
  const stranger = await preparedFolder();
  const other = await startEmbeddedService({ cwd: stranger });
  const [strangersPid] = postmasterPids(stranger);
  const [, ...restOfSecond] = readPidFile(cwd, 'db2');
  await writeFile(pidFileOf(cwd, 'db2'), [String(strangersPid), ...restOfSecond].join('\n'));

  const service = await startEmbeddedService({ cwd });
  expect(service.output().match(/ started, data in/g)).toHaveLength(2);
  await expectWhole(service);
  service.process.kill('SIGTERM');
  expect(await service.exited()).toBe(0);
  expect(isRunning(strangersPid ?? 0)).toBe(true);
  expect((await write(other, point('undisturbed'))).status).toBe(201);
});

test('a lock whose process is gone, or whose number another process has now, keeps nobody out', async () => {
  const cwd = await preparedFolder();
  await writeFile(join(cwd, '.m2pg/m2pg.pid'), `${process.pid} 1`);
  const service = await startEmbeddedService({ cwd });
  expect((await write(service, point('unlocked'))).status).toBe(201);
});

test('data that was half made when the program was killed is made again', async () => {
  const cwd = await preparedFolder();
  await rename(join(cwd, '.m2pg/db1'), join(cwd, '.m2pg/db1.new'));
  await rm(join(cwd, '.m2pg/db1.new/global'), { recursive: true });
  const service = await startEmbeddedService({ cwd, env: { WRITE_ACKS: 'all' } });
  expect((await write(service, point('remade'))).copies).toBe('2/2');
  expect(existsSync(join(cwd, '.m2pg/db1.new'))).toBe(false);
});

test('a server that cannot start is an error that says where to look, and the other does not stay behind', async () => {
  const cwd = await preparedFolder();
  await rm(join(cwd, '.m2pg/db2/PG_VERSION'));
  const program = runProgram([], { cwd, env: { PORT: '0', HOST: '127.0.0.1' } });
  expect(await program.exited()).toBe(1);
  expect(program.output()).toMatch(/PostgreSQL did not start; see \S+\/\.m2pg\/db2\.log/);
  expect(postmasterPids(cwd).filter(isRunning)).toEqual([]);
});

test('a server that is still stopping is waited for, and then started anew', async () => {
  const { cwd, pids } = await crashedService();
  const password = await readFile(join(cwd, '.m2pg/password'), 'utf8');
  const client = new Client({
    user: 'm2pg',
    database: 'postgres',
    password,
    host: '127.0.0.1',
    port: Number(readPidFile(cwd, 'db1')[3]),
  });
  await client.connect();
  // A smart shutdown lets whoever is connected stay.
  for (const pid of pids) process.kill(pid, 'SIGTERM');
  const starting = startEmbeddedService({ cwd });
  await sleep(1_000);
  await client.end();
  const service = await starting;
  expect(postmasterPids(cwd).filter((pid) => pids.includes(pid))).toEqual([]);
  await expectWhole(service);
});
