import { readFile, rm } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server that was killed replays its log when it starts; it had at most 1 GB of it to write before a checkpoint. */
const readyTimeoutMs = 60_000;

/** What a server writes about itself into `postmaster.pid`. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly isReady: boolean;
}

const pidFileOf = (dataDirectory: string) => join(dataDirectory, 'postmaster.pid');

/** The server that runs on this data directory, if one does. Only looks. */
export async function lookForPostmaster(dataDirectory: string): Promise<Postmaster | undefined> {
  const found = await readPostmaster(dataDirectory);
  return found && (await mayBePostmaster(found.pid, found.port)) ? found : undefined;
}

/** The same, for whoever starts a server otherwise: a stale `postmaster.pid` is removed. */
export async function findPostmaster(dataDirectory: string): Promise<Postmaster | undefined> {
  const found = await readPostmaster(dataDirectory);
  if (!found) return undefined;
  if (await mayBePostmaster(found.pid, found.port)) return found;
  // PostgreSQL would take the process that has the number now for a server, and refuse to start.
  await rm(pidFileOf(dataDirectory), { force: true });
  return undefined;
}

/** What `postmaster.pid` says of a process that is alive, which may be any process by now. */
async function readPostmaster(dataDirectory: string): Promise<Postmaster | undefined> {
  const file = pidFileOf(dataDirectory);
  const text = await readFile(file, 'utf8').catch(() => '');
  // https://github.com/postgres/postgres/blob/master/src/include/utils/pidfile.h
  const [pid, , , port, , , , state] = text.split('\n');
  const found = { pid: Number(pid), port: Number(port), isReady: state?.trim() === 'ready' };
  return found.pid && isAlive(found.pid) ? found : undefined;
}

/** Waits until the server of a data directory accepts connections. Rejects when it ends or takes too long. */
export async function waitUntilReady(dataDirectory: string, isEnded: () => boolean): Promise<Postmaster> {
  const deadline = Date.now() + readyTimeoutMs;
  while (Date.now() < deadline && !isEnded()) {
    const postmaster = await findPostmaster(dataDirectory);
    if (postmaster?.isReady) return postmaster;
    await sleep(20);
  }
  throw new Error(isEnded() ? 'the server ended' : `the server was not ready after ${readyTimeoutMs / 1000} s`);
}

/** In `global/pg_control` the state comes after the system identifier and two version numbers. */
const stateOffset = 16;

/** DB_SHUTDOWNED and, of a standby, DB_SHUTDOWNED_IN_RECOVERY. */
const shutDownStates = [1, 2];

/** True when the last server of a data directory was shut down. False when it was killed or failed, or when nobody can tell. */
export async function wasShutDown(dataDirectory: string): Promise<boolean> {
  // https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_control.h
  const control = await readFile(join(dataDirectory, 'global/pg_control')).catch(() => Buffer.alloc(0));
  if (control.length < stateOffset + 4) return false;
  return shutDownStates.includes(
    endianness() === 'LE' ? control.readUInt32LE(stateOffset) : control.readUInt32BE(stateOffset),
  );
}

/** Fast shutdown: open transactions are rolled back, everything committed is on disk. Resolves when it has ended. */
export async function stopPostmaster(pid: number, timeoutMs: number): Promise<void> {
  if (!isAlive(pid)) return;
  process.kill(pid, 'SIGINT');
  const deadline = Date.now() + timeoutMs;
  while (isAlive(pid) && Date.now() < deadline) await sleep(20);
}

/** True while a process has this id, whoever's it is. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * Whether the process may be the server that wrote this port down. Another one may have the number by now: any program,
 * a server on other data, one of its children. Where the system does not tell, it is taken for it: to run two servers
 * on one directory would destroy it.
 */
async function mayBePostmaster(pid: number, port: number): Promise<boolean> {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'postgres');
  if (name.trim() !== 'postgres') return false;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  if (commandLine === undefined) return true;
  const [program = '', ...flags] = commandLine.split('\0');
  // Nothing: it has ended, and nobody has asked how. `postgres: …`: a child, which shows what it does instead.
  if (program === '' || program.startsWith('postgres:')) return false;
  // Of flags that are repeated the last counts. Without any, somebody started it by hand.
  const given = flags.findLast((flag, index) => flags[index - 1] === '-p' || flag.startsWith('port='));
  return given === undefined || !port || Number(given.replace('port=', '')) === port;
}
