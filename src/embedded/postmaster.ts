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

/** The server that keeps this data directory, if one does. */
export async function findPostmaster(dataDirectory: string): Promise<Postmaster | undefined> {
  const file = join(dataDirectory, 'postmaster.pid');
  const text = await readFile(file, 'utf8').catch(() => '');
  // https://github.com/postgres/postgres/blob/master/src/include/utils/pidfile.h
  const [pid, , , port, , , , state] = text.split('\n');
  const found = { pid: Number(pid), port: Number(port), isReady: state?.trim() === 'ready' };
  if (!found.pid || !isAlive(found.pid)) return undefined;
  if (await mayBePostmaster(found.pid, found.port)) return found;
  // PostgreSQL would take whoever has the number now for itself, and refuse to start.
  await rm(file);
  return undefined;
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

/** The place of the state in `global/pg_control`, behind the system identifier and two versions, and the states after a shutdown. */
const stateOffset = 16;
const shutDownStates = [1, 2];

/**
 * Whether the last server of a data directory was shut down, rather than killed or ended by a failure. False also where that
 * cannot be read.
 */
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
