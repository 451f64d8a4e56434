import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from './postmaster.ts';

/**
 * Keeps a second m2pg out of a folder: the first to leave would stop the servers of the other.
 *
 * The lock is a file with our process id and, where the system tells it, the time that the process began, since ids are
 * used again. A lock whose process is gone means nothing.
 *
 * @param folder Is made when it is not there.
 * @returns The function that gives the folder back.
 * @throws Error that names the process that has it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const file = fileIn(folder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const pid = await findHolder(folder);
  if (pid !== undefined) {
    throw new Error(`another m2pg, process ${pid}, runs on the databases in ${folder}; stop it, or use another folder`);
  }
  await writeFile(file, `${process.pid} ${await beginning(process.pid)}`);
  return () => rm(file, { force: true });
}

/** The process, not our own, that keeps others out of a folder; undefined when there is none. */
export async function findHolder(folder: string): Promise<number | undefined> {
  const holder = await readFile(fileIn(folder), 'utf8').catch(() => '');
  const [id, begun] = holder.split(' ');
  const pid = Number(id);
  const isHeld = id && pid !== process.pid && isAlive(pid) && (await beginning(pid)) === begun;
  return isHeld ? pid : undefined;
}

const fileIn = (folder: string) => join(folder, 'm2pg.pid');

/** When a process began, in clock ticks since boot: the 22nd field of proc(5) `stat`; '' where there is no /proc. */
async function beginning(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the name in parentheses, may hold spaces.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
