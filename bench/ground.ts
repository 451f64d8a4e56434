/**
 * What every part of the benchmark stands on: embedded servers as a user gets them, and processes of our own.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedServer, startEmbeddedServer } from '../src/embedded/server.ts';
import { findStablePort } from '../test/support/stable-port.ts';

const root = join(import.meta.dirname, '..');

export interface Ground {
  readonly urls: readonly URL[];
  /** Starts m2pg on the databases. */
  startService(environment?: Readonly<Record<string, string>>): Promise<Running>;
  startEcho(): Promise<Running>;
  /** Opens a connection to a database, ended with the ground. */
  connect(url: URL): Promise<pg.Client>;
  close(): Promise<void>;
}

export interface Running {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts so many servers, all of them empty. */
export async function prepareGround(databases: number): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-bench-'));
  const servers: EmbeddedServer[] = await Promise.all(
    Array.from({ length: databases }, (_, index) => startEmbeddedServer(folder, `db${index + 1}`)),
  );
  const urls = servers.map(({ url }) => url);
  const running = new Set<Running>();
  const clients: pg.Client[] = [];

  const run = async (file: string, args: readonly string[], environment: Readonly<Record<string, string>>) => {
    const port = await findStablePort();
    const child = spawn(
      process.execPath,
      // As `npm start` does.
      ['--max-semi-space-size=8', join(root, file), ...args, ...(file.endsWith('echo.ts') ? [String(port)] : [])],
      {
        env: { ...process.env, PORT: String(port), HOST: '127.0.0.1', LOG_LEVEL: 'info', ...environment },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    for await (const chunk of child.stdout) if (String(chunk).includes('listening')) break;
    const started: Running = {
      url: `http://127.0.0.1:${port}/metrics`,
      pid: child.pid ?? 0,
      async stop() {
        running.delete(started);
        if (child.exitCode !== null) return;
        child.kill('SIGTERM');
        await once(child, 'exit');
      },
    };
    running.add(started);
    return started;
  };

  return {
    urls,
    startService: (environment = {}) =>
      run('src/main.ts', [], { DATABASE_URLS: urls.map(({ href }) => href).join('|'), ...environment }),
    startEcho: () => run('bench/echo.ts', [], {}),
    async connect(url) {
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      clients.push(client);
      return client;
    },
    async close() {
      await Promise.all([...running].map((process) => process.stop()));
      await Promise.all(clients.map((client) => client.end()));
      await Promise.all(servers.map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
