import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { chown, mkdir, stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { freshFolder, postmasterPids, startEmbeddedService } from '../support/embedded-service.ts';
import { isRunning } from '../support/processes.ts';
import { point, read, write } from '../support/service-client.ts';
import { eventually, runProgram } from '../support/service-process.ts';

const run = promisify(execFile);

const isRoot = process.getuid?.() === 0;
const nobody = 65_534;

test('without configuration it serves from two servers of its own, keeps their data, and stops them', async () => {
  const cwd = await freshFolder();
  const service = await startEmbeddedService({ cwd });
  const output = service.output();
  const pids = postmasterPids(cwd);
  expect(pids).toHaveLength(2);
  expect(pids.every(isRunning)).toBe(true);
  expect(output).toMatch(/db1 {2}postgres:\/\/m2pg@127\.0\.0\.1:\d+\/postgres {2}started, data in \.m2pg\/db1/);
  expect(output).toMatch(/db2 {2}postgres:\/\/m2pg@127\.0\.0\.1:\d+\/postgres {2}started, data in \.m2pg\/db2/);

  // What it prints is what people paste.
  const [, writeLine = '', readLine = ''] = /write:\s+(curl .*)\n\s+read:\s+(curl .*)\n/.exec(output) ?? [];
  const written = await run('sh', ['-c', `${writeLine} -sS -i`]);
  expect(written.stdout).toMatch(/^HTTP\/1\.1 201 /);
  await eventually(async () => {
    const found = await run('sh', ['-c', `${readLine} -sS -i`]);
    expect(found.stdout).toMatch(/m2pg-complete: true/i);
    expect(found.stdout).toContain('"name":"hello.world"');
    expect(found.stdout).toContain('"value":42');
  });

  service.process.kill('SIGTERM');
  expect(await service.exited()).toBe(0);
  expect(pids.filter(isRunning)).toEqual([]);

  const again = await startEmbeddedService({ cwd });
  expect(await read(again, { name: 'hello' })).toMatchObject({ count: 1, databases: 'db1=ok, db2=ok' });
});

test('two run at once from two folders without PORT, and a second in one folder is refused', async () => {
  const cwd = await freshFolder();
  const [one, other] = await Promise.all([
    startEmbeddedService({ cwd }),
    startEmbeddedService({ cwd: await freshFolder() }),
  ]);
  expect(Number(new URL(one.url).port)).toBeGreaterThanOrEqual(8_080);
  expect(new URL(other.url).port).not.toBe(new URL(one.url).port);
  expect((await write(one, point('one'))).status).toBe(201);
  expect(await read(other, {})).toMatchObject({ status: 200, count: 0 });

  const second = runProgram([], { cwd });
  expect(await second.exited()).toBe(1);
  expect(second.output()).toBe(
    `another m2pg, process ${one.process.pid}, runs on the databases in .m2pg; stop it, or use another folder\n`,
  );
  expect((await write(one, point('undisturbed'))).status).toBe(201);
});

test('other commands work on its servers while it runs, and leave them running', async () => {
  const cwd = await freshFolder();
  const service = await startEmbeddedService({ cwd, env: { WRITE_ACKS: 'all' } });
  const pids = postmasterPids(cwd);
  expect((await write(service, [point('foo.a'), point('bar')])).status).toBe(201);
  const commandOf = async (...args: string[]) => {
    const program = runProgram(args, { cwd });
    expect({ args, code: await program.exited() }).toEqual({ args, code: 0 });
    return program.output();
  };
  expect(await commandOf('export', '--name', '^foo')).toContain('"name":"foo.a"');
  expect(await commandOf('migrate')).toContain('2 of 2 databases are up to date');
  await commandOf('verify');
  await commandOf('delete', '--name', 'foo.a', '--yes');
  expect(await read(service, {})).toMatchObject({ count: 1, complete: 'true' });
  expect(postmasterPids(cwd)).toEqual(pids);
  expect(pids.every(isRunning)).toBe(true);
});

test('a PORT that was asked for and is taken is refused, and no server stays behind', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const cwd = await freshFolder();
  const program = runProgram([], { cwd, env: { PORT: String(port), HOST: '127.0.0.1' } });
  expect(await program.exited()).toBe(1);
  expect(program.output()).toContain(`port ${port} is taken; set PORT to another one\n`);
  await eventually(() => expect(postmasterPids(cwd).filter(isRunning)).toEqual([]));
});

test('SIGTERM before it listens leaves no server behind', async () => {
  const cwd = await freshFolder();
  const program = runProgram([], { cwd, env: { PORT: '0', HOST: '127.0.0.1' } });
  await eventually(() => expect(postmasterPids(cwd)).toHaveLength(2));
  const pids = postmasterPids(cwd);
  program.process.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
  expect(pids.filter(isRunning)).toEqual([]);
});

test.runIf(isRoot)('as root it runs in a folder that only root may enter', async () => {
  const outer = await freshFolder();
  const cwd = join(outer, 'closed/inner');
  await mkdir(cwd, { recursive: true, mode: 0o700 });
  expect((await stat(dirname(cwd))).mode & 0o777).toBe(0o700);
  const service = await startEmbeddedService({ cwd });
  expect((await write(service, point('closed'))).copies).toMatch(/^[12]\/2$/);
  expect(postmasterPids(cwd)).toHaveLength(2);
});

test('as an ordinary user it runs, and its servers belong to that user', async ({ skip }) => {
  if (!isRoot) skip('the tests themselves run as an ordinary user, so that all of them show this');
  const closed = closedFolderAbove(process.execPath) ?? closedFolderAbove(import.meta.dirname);
  if (closed) skip(`an ordinary user cannot enter ${closed}`);
  const cwd = await freshFolder();
  await chown(cwd, nobody, nobody);
  const service = await startEmbeddedService({ cwd, uid: nobody, gid: nobody, env: { HOME: cwd } });
  expect((await write(service, point('ordinary'))).status).toBe(201);
  const owners = postmasterPids(cwd).map(
    (pid) => /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1],
  );
  expect(owners).toEqual([String(nobody), String(nobody)]);
});

/** The first folder on the way to a file that is not open to everybody. */
function closedFolderAbove(file: string): string | undefined {
  const folder = dirname(file);
  const above = folder === dirname(folder) ? undefined : closedFolderAbove(folder);
  return above ?? ((statSync(folder).mode & 0o005) === 0o005 ? undefined : folder);
}
