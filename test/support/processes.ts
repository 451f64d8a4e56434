import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** True while a process runs; one that ended and that nobody has asked about yet does not. */
export function isRunning(pid: number): boolean {
  return !['', 'Z', 'X'].includes(stateOf(pid));
}

/** The one letter of proc(5) `stat`: R running, S sleeping, T stopped, Z ended; '' when there is no such process. */
export function stateOf(pid: number): string {
  return statOf(pid)[0] ?? '';
}

/** The processes that it started and that still are there, such as the backends of a postmaster. */
export function childrenOf(pid: number): number[] {
  const pids = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  return pids.filter((child) => statOf(child)[1] === String(pid));
}

/** Sends a signal to a process and to its children, in this order: so that it can start no more of them. */
export function signalFamily(pid: number, signal: NodeJS.Signals): number[] {
  const family = [pid, ...childrenOf(pid)];
  for (const member of family) signalProcess(member, signal);
  // What it started between the look and the signal.
  const late = signal === 'SIGSTOP' ? childrenOf(pid).filter((child) => !family.includes(child)) : [];
  for (const member of late) signalProcess(member, signal);
  return [...family, ...late];
}

/** Kills a process and its children and waits until the last of them is gone. */
export async function killFamily(pid: number): Promise<void> {
  const family = signalFamily(pid, 'SIGKILL');
  while (family.some(isRunning)) await sleep(5);
}

/** Sends a signal to a process, if it is still there. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** The fields of proc(5) `stat` after the name: state, parent, … */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** The local ports of the TCP sockets by which a process, alive, is connected or connecting to a port. */
export function socketsTo(pid: number, port: number): Set<number> {
  const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
  const held = new Set(fds.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  // proc(5): sl, local_address, rem_address, st, …; the inode is the tenth.
  const rows = ['tcp', 'tcp6'].flatMap((file) =>
    readFileSync(`/proc/${pid}/net/${file}`, 'utf8').trim().split('\n').slice(1),
  );
  const sockets = rows.map((row) => row.trim().split(/\s+/)).filter((fields) => held.has(fields[9] ?? ''));
  const portOf = (address: string | undefined) => Number.parseInt(address?.split(':')[1] ?? '', 16);
  return new Set(sockets.filter((fields) => portOf(fields[2]) === port).map((fields) => portOf(fields[1])));
}

/** Memory of a process that is in use, in bytes. */
export function residentBytesOf(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1_024;
}

/** Where a link leads; '' when it has just gone. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
