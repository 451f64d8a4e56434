import { readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { killFamily } from './processes.ts';
import { type Service, type ServiceOptions, startService } from './service-process.ts';

/** A folder of one test's own; the servers on data in it are killed, and it is removed, when the test has finished. */
export async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-embedded-'));
  onTestFinished(async () => {
    await killServers(folder);
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Starts the service in a folder without any configuration, as `npm start` does. */
export function startEmbeddedService(options: ServiceOptions & { readonly cwd: string }): Promise<Service> {
  return startService({ ...options, env: { PORT: '', HOST: '', ...options.env } });
}

/** The process ids that the servers of a folder have written down: of those that run, and of those that were killed. */
export function postmasterPids(folder: string): number[] {
  return ['db1', 'db2'].flatMap((name) => {
    const [pid] = readPidFile(folder, name);
    return pid ? [Number(pid)] : [];
  });
}

/** Kills the servers that run on the data in a folder; a number in a stale file may be somebody else's by now. */
export async function killServers(folder: string): Promise<void> {
  const isOurs = (pid: number) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`);
    } catch {
      return false;
    }
  };
  await Promise.all(postmasterPids(folder).filter(isOurs).map(killFamily));
}

/** The lines of `postmaster.pid`: process id, data directory, start, port, … */
export function readPidFile(folder: string, name: string): string[] {
  try {
    return readFileSync(pidFileOf(folder, name), 'utf8').split('\n');
  } catch {
    return [];
  }
}

export function pidFileOf(folder: string, name: string): string {
  return join(folder, '.m2pg', name, 'postmaster.pid');
}
