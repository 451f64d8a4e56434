import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { whenFinished } from './cleanup.ts';
import { startWatch } from './stalls.ts';

const root = join(import.meta.dirname, '../..');

/** The program itself, as a process with a port. */
export interface Service {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  readonly process: ChildProcess;
  /** Everything it has printed so far, both streams. */
  output(): string;
  /** Resolves with the exit code; null when a signal ended it. */
  exited(): Promise<number | null>;
}

export interface ServiceOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Its working directory; the project's own when left out. */
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/** Runs a command of the program, without waiting for anything. */
export function runProgram(args: readonly string[], options: ServiceOptions = {}) {
  const { env, cwd = root, uid, gid } = options;
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid !== undefined && { uid, gid: gid ?? uid }),
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    output += chunk;
  });
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  whenFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await Promise.race([exit, sleep(15_000)]);
    child.kill('SIGKILL');
  });
  return { process: child, output: () => output, exited: () => exit };
}

/** Starts the service and waits until it listens. Fails with its output when it ends before. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const program = runProgram([], { ...options, env: { PORT: '0', HOST: '127.0.0.1', ...options.env } });
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const [, url] = /listening on (http:[^"]+)/.exec(program.output()) ?? [];
    if (url) return { ...program, url: url.replace('localhost', '127.0.0.1') };
    if (program.process.exitCode !== null) break;
    await sleep(20);
  }
  throw new Error(`the service did not start:\n${program.output()}`);
}

/** Tries until it succeeds or the time is up, but for what this process waits for a processor; then fails with the last error. */
export async function eventually<Value>(attempt: () => Promise<Value> | Value, timeoutMs = 30_000): Promise<Value> {
  const watch = startWatch();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (watch() > timeoutMs) throw error;
      await sleep(50);
    }
  }
}
