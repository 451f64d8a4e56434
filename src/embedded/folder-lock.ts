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
  const file = join(folder, 'm2pg.pid');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const holder = await readFile(file, 'utf8').catch(() => '');
  const [pid, begun] = holder.split(' ');
  if (pid && Number(pid) !== process.pid && isAlive(Number(pid)) && (await beginning(Number(pid))) === begun) {
    throw new Error(`another m2pg, process ${pid}, runs on the databases in ${folder}; stop it, or use another folder`);
  }
  await writeFile(file, `${process.pid} ${await beginning(process.pid)}`);
  return () => rm(file, { force: true });
}

/** When a process began, in clock ticks since boot: the 22nd field of proc(5) `stat`; '' where there is no /proc. */
async function beginning(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the name in parentheses, may hold spaces.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
