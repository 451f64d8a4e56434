import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

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
  /** Megabytes and open sockets; undefined while it does not run. */
  usage(): { rssMb: number; sockets: number } | undefined;
}

/** A service that is yet to be started. */
export function createTortureService({ root, port, logFile, environment }: TortureServiceOptions): TortureService {
  const log = createWriteStream(logFile, { flags: 'a' });
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
      const started = spawn(process.execPath, ['--max-semi-space-size=8', join(root, 'src/main.ts')], { env });
      child = started;
      started.stderr.pipe(log, { end: false });
      let isListening = false;
      for await (const chunk of started.stdout) {
        log.write(chunk);
        isListening = String(chunk).includes('listening on');
        if (isListening) break;
      }
      if (!isListening) throw new Error(`a service did not start; see ${logFile}`);
      // The loop above has ended the stream: what follows is not to block the process.
      started.stdout.on('error', () => undefined).resume();
    },
    async end(signal) {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    },
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
