import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../src/http/operation-routes.ts';

export interface TortureServiceOptions {
  /** Of the sources, which may hold a planted defect. */
  readonly root: string;
  readonly port: number;
  readonly logFile: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** One process of m2pg; always on the same port. */
export interface TortureService {
  readonly url: string;
  start(databaseUrls: readonly URL[]): Promise<void>;
  /** Resolves when it has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** What it says of each of its databases; nothing when it does not answer. */
  states(): Promise<string[]>;
  /** Megabytes and open sockets; undefined while it does not run. */
  usage(): { rssMb: number; sockets: number } | undefined;
}

/** A service that is yet to be started. */
export function createTortureService({ root, port, logFile, environment }: TortureServiceOptions): TortureService {
  let child: ChildProcess | undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    async start(databaseUrls) {
      const env = {
        PATH: process.env.PATH ?? '',
        ...environment,
        DATABASE_URLS: databaseUrls.join('|'),
        HOST: '127.0.0.1',
        PORT: String(port),
      };
      const log = openSync(logFile, 'a');
      const started = spawn(process.execPath, ['--max-semi-space-size=8', join(root, 'src/main.ts')], {
        env,
        stdio: ['ignore', log, log],
      });
      closeSync(log);
      child = started;
      while (!(await isHealthy(port))) {
        if (started.exitCode !== null || started.signalCode !== null)
          throw new Error(`a service did not start; see ${logFile}`);
        await sleep(50);
      }
    },
    async end(signal) {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
    states: () => readStates(port).catch(() => []),
    usage() {
      if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return undefined;
      try {
        const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
        return { rssMb: Number(kilobytes) / 1_024, sockets: readdirSync(`/proc/${child.pid}/fd`).length };
      } catch {
        return undefined;
      }
    },
  };
}

async function readStates(port: number): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${port}/-/status`, { signal: AbortSignal.timeout(2_000) });
  return ((await response.json()) as Status).databases.map(({ state }) => state);
}

async function isHealthy(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/-/healthy`).then(
    ({ ok }) => ok,
    () => false,
  );
}
