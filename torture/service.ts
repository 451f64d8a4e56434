import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '../src/http/operation-routes.ts';
import type { Clock } from './clock.ts';

export interface TortureServiceOptions {
  readonly port: number;
  readonly logFile: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Undefined where no clock can be set. */
  readonly clock: Clock | undefined;
}

/** One process of m2pg; always on the same port. */
export interface TortureService {
  readonly url: string;
  readonly clock: Clock | undefined;
  /** How it is set, apart from its databases. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Starts it.
   *
   * @param root Of the sources, which may hold a planted defect or be those of another version.
   * @returns Whether it runs; false: it has ended by itself.
   */
  start(root: string, databaseUrls: readonly URL[]): Promise<boolean>;
  /** Resolves when it has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** What it has written to its log since it was started last. */
  log(): Promise<string>;
  /** What it says of each of its databases; nothing when it does not answer. */
  states(): Promise<string[]>;
  /** Of its process; undefined while it does not run. */
  pid(): number | undefined;
  /** Megabytes and open sockets; undefined while it does not run. */
  usage(): { rssMb: number; sockets: number } | undefined;
}

/** A service that is yet to be started. */
export function createTortureService({ port, logFile, environment, clock }: TortureServiceOptions): TortureService {
  let child: ChildProcess | undefined;
  let logFrom = 0;
  const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null;
  const pid = () => (child && !hasEnded(child) ? child.pid : undefined);
  return {
    url: `http://127.0.0.1:${port}`,
    clock,
    environment,
    async start(root, databaseUrls) {
      const env = {
        PATH: process.env.PATH ?? '',
        ...clock?.environment,
        ...environment,
        DATABASE_URLS: databaseUrls.join('|'),
        HOST: '127.0.0.1',
        PORT: String(port),
      };
      logFrom = await stat(logFile).then(
        ({ size }) => size,
        () => 0,
      );
      const log = openSync(logFile, 'a');
      const started = spawn(process.execPath, ['--max-semi-space-size=8', join(root, 'src/main.ts')], {
        env,
        stdio: ['ignore', log, log],
      });
      closeSync(log);
      child = started;
      while (!(await isHealthy(port))) {
        if (hasEnded(started)) return false;
        await sleep(50);
      }
      return true;
    },
    async end(signal) {
      if (!child || hasEnded(child)) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
    log: async () => (await readFile(logFile, 'utf8')).slice(logFrom),
    states: () => readStates(port).catch(() => []),
    pid,
    usage() {
      const running = pid();
      if (running === undefined) return undefined;
      try {
        const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${running}/status`, 'utf8')) ?? [];
        return { rssMb: Number(kilobytes) / 1_024, sockets: readdirSync(`/proc/${running}/fd`).length };
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
