import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { clockSettlesMs, clocksMissing, createClock } from '../../torture/clock.ts';
import { startTortureServer } from '../../torture/server.ts';

const run = promisify(execFile);
const testWithClocks = test.skipIf(clocksMissing() !== undefined);

const day = 86_400;

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-clock-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  // For the user that the servers run as.
  await chmod(folder, 0o755);
  return folder;
}

const secondsAhead = (ms: number) => (ms - Date.now()) / 1_000;

testWithClocks('a process goes by a clock that is set while it runs, and its timers by the true one', async () => {
  const clock = await createClock(join(await newFolder(), 'clock'), { hasThreads: true });
  const waits = 2 * clockSettlesMs;
  const program = `
    const [began, now] = [performance.now(), Date.now()];
    setTimeout(() => console.log(JSON.stringify([now, Date.now(), performance.now() - began])), ${waits});`;
  const running = run(process.execPath, ['--eval', program], { env: { ...process.env, ...clock?.environment } });
  const begun = Date.now();
  await sleep(1_000);
  await clock?.set(-400 * day);
  const [first, last, lasted] = JSON.parse((await running).stdout) as [number, number, number];
  expect(Math.abs(first - begun)).toBeLessThan(60_000);
  expect(secondsAhead(last)).toBeGreaterThan(-400 * day - 60);
  expect(secondsAhead(last)).toBeLessThan(-400 * day + 60);
  expect(lasted).toBeGreaterThanOrEqual(waits - 1);
  expect(lasted).toBeLessThan(waits + 60_000);
});

testWithClocks('a server goes by its clock, also when it was killed and started again', async () => {
  const server = await startTortureServer(await newFolder(), 'db1', { hasClock: true });
  onTestFinished(() => server.remove());
  const readAhead = async () => {
    const [row] = await server.run('select extract(epoch from clock_timestamp())::float8 * 1000 as ms');
    return secondsAhead(Number(row?.ms));
  };
  expect(Math.abs(await readAhead())).toBeLessThan(60);
  await server.clock?.set(400 * day);
  await sleep(clockSettlesMs);
  expect(Math.abs((await readAhead()) - 400 * day)).toBeLessThan(60);
  await server.kill();
  await server.start();
  expect(Math.abs((await readAhead()) - 400 * day)).toBeLessThan(60);
  await server.clock?.set(0);
  await sleep(clockSettlesMs);
  expect(Math.abs(await readAhead())).toBeLessThan(60);
});
