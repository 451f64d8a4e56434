/**
 * Makes sure that only one m2pg at a time uses a folder: the first to leave would stop the servers of the other.
 *
 * The lock is a kernel lock on the file `m2pg.lock`. The kernel grants it to exactly one process, and releases it when that
 * process ends, however it ends. So a lock is never stale: nobody has to find out whether a process id from before a crash, a
 * reboot or a container restart still belongs to the same process.
 *
 * Node has no function that locks a file, but its SQLite locks files with fcntl(2) on Linux and macOS. An exclusive transaction
 * on an empty database holds the lock and writes nothing, not even a journal. The file is never removed: otherwise one process
 * could lock the old file while another locks a new one of the same name.
 *
 * Refused alternative: a file that holds a process id. Taking over the file of a dead process is a race, and containers that
 * share a folder do not see each other's processes.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Other processes that try or check the lock at the same moment are done sooner. */
const waitMs = 500;

/** SQLITE_BUSY: another process holds the lock. */
const busy = 5;

/**
 * Takes the lock of a folder.
 *
 * @param folder Is made when it is not there.
 * @returns The function that releases the lock.
 * @throws Error that names the process that holds it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = ask(folder, 'pragma journal_mode = memory; begin exclusive', waitMs);
  if (lock === undefined) {
    const pid = await readFile(pidFileIn(folder), 'utf8').catch(() => '');
    const holder = pid === '' ? '' : `, process ${pid},`;
    throw new Error(`another m2pg${holder} runs on the databases in ${folder}; stop it, or use another folder`);
  }
  // The listener also keeps the connection reachable: garbage collection would close it and release the lock.
  const release = () => lock.close();
  process.once('exit', release);
  await writeFile(pidFileIn(folder), String(process.pid));
  return async () => {
    process.off('exit', release);
    await rm(pidFileIn(folder), { force: true });
    release();
  };
}

/** True while a process holds the lock of a folder, which need not be there. */
export async function isFolderLocked(folder: string): Promise<boolean> {
  if (!(await stat(lockFileIn(folder)).catch(() => undefined))) return false;
  const look = ask(folder, 'select * from sqlite_schema', 0);
  look?.close();
  return look === undefined;
}

const lockFileIn = (folder: string) => join(folder, 'm2pg.lock');

/** For messages only: it may be left over from a process that was killed. */
const pidFileIn = (folder: string) => join(folder, 'm2pg.pid');

/**
 * Runs a statement that takes a lock.
 *
 * @returns The connection that holds the lock; undefined when another process holds one that excludes it.
 * @throws Error when the file system does not support locks.
 */
function ask(folder: string, statement: string, timeout: number): DatabaseSync | undefined {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(lockFileIn(folder), { timeout });
    lock.exec(statement);
    return lock;
  } catch (cause) {
    lock?.close();
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === busy) return undefined;
    throw new Error(`${lockFileIn(folder)} cannot be locked; use a folder on a local disk`, { cause });
  }
}
