/**
 * Keeps a second m2pg out of a folder: the first to leave would stop the servers of the other.
 *
 * The lock is one of the kernel, on the file `m2pg.lock`. The kernel gives it to one process, whoever else asks in the same
 * instant, and takes it back when that process ends, however it ends. So there are no stale locks: nobody has to guess
 * whether a process id of before a crash, a reboot or a restart of a container still means the same process.
 *
 * Node itself locks no files. Its SQLite does, with fcntl(2), on Linux and macOS: an exclusive transaction on an empty
 * database holds the lock and writes nothing, not even a journal. The file stays when the lock is given back. If it were
 * removed, one process could lock the old file and another one a new file of the same name.
 *
 * Refused alternative: a file with the id of the process. To take over that of a dead process is a race, and containers
 * that share a folder do not see each other's processes.
 */
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Others who ask in the same instant, or only look, are done sooner. */
const waitMs = 500;

/** Of SQLite: another process holds the lock. */
const busy = 5;

/**
 * Takes the lock of a folder.
 *
 * @param folder Is made when it is not there.
 * @returns The function that gives the folder back.
 * @throws Error that names the process that has it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = ask(folder, 'pragma journal_mode = memory; begin exclusive', waitMs);
  if (lock === undefined) {
    const pid = await readFile(pidFileIn(folder), 'utf8').catch(() => '');
    const holder = pid === '' ? '' : `, process ${pid},`;
    throw new Error(`another m2pg${holder} runs on the databases in ${folder}; stop it, or use another folder`);
  }
  // Also keeps it reachable: a connection that is collected as garbage is closed, and the lock is gone.
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

/** Only for messages: what it says may be of a process that was killed. */
const pidFileIn = (folder: string) => join(folder, 'm2pg.pid');

/**
 * @returns The connection that has got the lock that the statement takes; undefined when another process keeps it from that.
 * @throws Error where nobody can lock, such as on some network file systems.
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
