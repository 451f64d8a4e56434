import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { isFolderLocked, lockFolder } from '../../src/embedded/folder-lock.ts';
import { whenFinished } from '../support/cleanup.ts';

const rounds = 20;
const contenders = 6;

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-lock-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** For each line that it is sent, an instant and a folder, it tries to lock the folder in that instant, and says what came of it. */
const contender = `
import { createInterface } from 'node:readline';
import { lockFolder } from '${new URL('../../src/embedded/folder-lock.ts', import.meta.url)}';
process.setMaxListeners(0);
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [at, folder] = line.split(' ');
  while (Date.now() < Number(at)) {}
  await lockFolder(folder).then(() => console.log('got it'), (error) => console.log(error.message));
  gc();
}`;

/** A process that tries to lock folders. */
async function startContender() {
  const flags = ['--expose-gc', '--input-type=module', '-e', contender];
  const child = spawn(process.execPath, flags, { stdio: ['pipe', 'pipe', 'inherit'] });
  whenFinished(async () => void child.kill('SIGKILL'));
  const nextLine = async (): Promise<string> => String(await once(child.stdout, 'data').then(([text]) => text)).trim();
  expect(await nextLine()).toBe('ready');
  return {
    child,
    async tryToLock(folder: string, atMs: number) {
      child.stdin.write(`${atMs} ${folder}\n`);
      return nextLine();
    },
  };
}

/** Kills it, and waits until it is gone. */
async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

test('of several processes that ask for a folder in one instant exactly one gets it, and the others name it', async () => {
  const all = await Promise.all(Array.from({ length: contenders }, startContender));
  for (let round = 0; round < rounds; round += 1) {
    const folder = join(await freshFolder(), 'new', 'folder');
    const atMs = Date.now() + 30;
    const answers = await Promise.all(all.map(({ tryToLock }) => tryToLock(folder, atMs)));
    const winner = all[answers.indexOf('got it')];
    const refusal = `another m2pg, process ${winner?.child.pid}, runs on the databases in ${folder}; stop it, or use another folder`;
    expect(answers.toSorted()).toEqual([...Array(contenders - 1).fill(refusal), 'got it'].toSorted());
    expect((await readdir(folder)).toSorted()).toEqual(['m2pg.lock', 'm2pg.pid']);
  }
});

test('of several that find the lock of a process that was killed exactly one gets it', async () => {
  const all = await Promise.all(Array.from({ length: contenders }, startContender));
  for (let round = 0; round < 5; round += 1) {
    const folder = await freshFolder();
    const killed = await startContender();
    expect(await killed.tryToLock(folder, 0)).toBe('got it');
    await kill(killed.child);
    const atMs = Date.now() + 30;
    const answers = await Promise.all(all.map(({ tryToLock }) => tryToLock(folder, atMs)));
    expect(answers.filter((answer) => answer === 'got it')).toHaveLength(1);
  }
});

test('is held as long as the process lives, also while it is stopped, and never by a number alone', async () => {
  const folder = await freshFolder();
  // As after a restart of a container, where another process has the number, which is ours.
  await writeFile(join(folder, 'm2pg.pid'), String(process.pid));
  expect(await isFolderLocked(folder)).toBe(false);
  const holder = await startContender();
  expect(await holder.tryToLock(folder, 0)).toBe('got it');
  holder.child.kill('SIGSTOP');
  await sleep(100);
  expect(await isFolderLocked(folder)).toBe(true);
  await expect(lockFolder(folder)).rejects.toThrow(`process ${holder.child.pid},`);
  await kill(holder.child);
  expect(await isFolderLocked(folder)).toBe(false);

  const unlock = await lockFolder(folder);
  expect(await isFolderLocked(folder)).toBe(true);
  await expect(lockFolder(folder)).rejects.toThrow(/another m2pg/);
  await unlock();
  expect(await isFolderLocked(folder)).toBe(false);
  await (await lockFolder(folder))();
});

test('looking whether a folder is locked keeps nobody from locking it', async () => {
  const folder = await freshFolder();
  const looker = await startContender();
  const looks = Array.from({ length: 300 }, () => isFolderLocked(folder));
  const [got] = await Promise.all([looker.tryToLock(folder, 0), ...looks]);
  expect(got).toBe('got it');
});
