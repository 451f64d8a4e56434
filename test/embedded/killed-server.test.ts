import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { freshFolder, postmasterPids, startEmbeddedService } from '../support/embedded-service.ts';
import { isRunning, signalProcess } from '../support/processes.ts';
import { point, read, write } from '../support/service-client.ts';
import { eventually, type Service } from '../support/service-process.ts';

// Each starts two servers, and one of them again.
vi.setConfig({ testTimeout: 120_000 });

const lost = /the server of db2 ended by itself; it is started again in 2 s/;
const restarted = /the server of db2 runs again/;
const patientMs = 60_000;

/** Kills the second server, and gives the process id that it had. */
function killSecond(cwd: string, signal: NodeJS.Signals = 'SIGKILL'): number {
  const [, pid = 0] = postmasterPids(cwd);
  signalProcess(pid, signal);
  return pid;
}

async function expectEnded(service: Service, cwd: string): Promise<void> {
  service.process.kill('SIGTERM');
  expect(await service.exited()).toBe(0);
  expect(postmasterPids(cwd).filter(isRunning)).toEqual([]);
}

test.each([{}, { WEB_CONCURRENCY: '2' }])(
  'a server that is killed is started again, and gets what it missed: %j',
  async (env) => {
    const cwd = await freshFolder();
    const service = await startEmbeddedService({ cwd, env });
    expect((await write(service, point('before'))).status).toBe(201);
    const killed = killSecond(cwd);
    await eventually(async () => expect(await read(service, {})).toMatchObject({ complete: 'false' }));
    expect((await write(service, point('meanwhile'))).status).toBe(201);
    expect((await read(service, {})).databases).toMatch(/^db1=ok, db2=(unreachable|starting)$/);
    await eventually(() => expect(service.output()).toMatch(lost));

    await eventually(() => expect(service.output()).toMatch(restarted), patientMs);
    expect(postmasterPids(cwd)[1]).not.toBe(killed);
    await eventually(
      async () => expect(await read(service, {})).toMatchObject({ count: 2, complete: 'true' }),
      patientMs,
    );
    await eventually(() => expect(service.output()).toMatch(/db2 got \d summaries that it had missed/), patientMs);
    expect(service.output().match(/ended by itself/g)).toHaveLength(1);
    await expectEnded(service, cwd);
  },
);

test('a server that was taken over is started again as well; one that cannot start is tried until it can', async () => {
  const cwd = await freshFolder();
  const first = await startEmbeddedService({ cwd });
  first.process.kill('SIGKILL');
  await first.exited();
  const service = await startEmbeddedService({ cwd });
  expect(service.output().match(/was running, taken over/g)).toHaveLength(2);

  const configuration = join(cwd, '.m2pg/db2/postgresql.conf');
  const text = await readFile(configuration, 'utf8');
  await writeFile(configuration, `${text}\nno_such_setting = 1\n`);
  killSecond(cwd);
  const failed = /the server of db2 did not start; it is started again in 4 s/;
  await eventually(() => expect(service.output()).toMatch(failed), patientMs);
  await writeFile(configuration, text);
  await eventually(() => expect(service.output()).toMatch(restarted), patientMs);
  await expectEnded(service, cwd);
});

test('a server that somebody shuts down is left so, and started by the next m2pg', async () => {
  const cwd = await freshFolder();
  const service = await startEmbeddedService({ cwd });
  const stopped = killSecond(cwd, 'SIGINT');
  const left = /the server of db2 was shut down by somebody else and is left so; restart m2pg to start it/;
  await eventually(() => expect(service.output()).toMatch(left), patientMs);
  expect(isRunning(stopped)).toBe(false);
  await sleep(4_000);
  expect(postmasterPids(cwd)).toHaveLength(1);
  expect((await write(service, point('alone'))).status).toBe(201);
  await expectEnded(service, cwd);
  const again = await startEmbeddedService({ cwd });
  await eventually(async () => expect(await read(again, {})).toMatchObject({ count: 1, complete: 'true' }), patientMs);
});

test('a service that stops starts no server again', async () => {
  const cwd = await freshFolder();
  const service = await startEmbeddedService({ cwd });
  killSecond(cwd);
  await eventually(() => expect(service.output()).toMatch(lost));
  await expectEnded(service, cwd);
  expect(service.output()).not.toMatch(restarted);
});
