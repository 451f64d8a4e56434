import { randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedServer } from '../src/embedded/server.ts';
import { childrenOf, killFamily, signalFamily, signalProcess } from '../test/support/processes.ts';

/** What is acknowledged must be on disk: nothing is switched off that makes it so. Few connections, to be used up. */
const settings = { max_connections: '60' };

/** A PostgreSQL server to be mistreated; always on the same port. */
export interface TortureServer {
  readonly name: string;
  readonly url: URL;
  /** Fast shutdown. */
  shutDown(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** One backend by SIGKILL, upon which the server restarts itself. */
  killBackend(): void;
  freeze(): void;
  freezePostmaster(): void;
  thaw(): void;
  /** Throws all data away; to be called when it does not run. */
  empty(): Promise<void>;
  /** Runs SQL as superuser, past everything in between. */
  run(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** A connection that stays. */
  connect(): Promise<pg.Client>;
}

/** Starts one with its data in a folder. */
export async function startTortureServer(folder: string, name: string): Promise<TortureServer> {
  const port = String(randomInt(15_000, 32_000));
  const startOnPort = () => startEmbeddedServer(folder, name, { ...settings, port });
  let server = await startOnPort();
  const connect = async () => {
    const client = new pg.Client({
      connectionString: server.url.href,
      connectionTimeoutMillis: 5_000,
      query_timeout: 60_000,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  return {
    name,
    url: server.url,
    shutDown: () => server.stop(),
    kill: () => killFamily(server.pid),
    async start() {
      server = await startOnPort();
    },
    killBackend() {
      const [child] = childrenOf(server.pid).slice(-1);
      if (child !== undefined) signalProcess(child, 'SIGKILL');
    },
    freeze: () => void signalFamily(server.pid, 'SIGSTOP'),
    freezePostmaster: () => signalProcess(server.pid, 'SIGSTOP'),
    thaw() {
      for (const member of [...childrenOf(server.pid), server.pid]) signalProcess(member, 'SIGCONT');
    },
    empty: () => rm(join(folder, name), { recursive: true }),
    async run(text, values = []) {
      const client = await connect();
      try {
        return (await client.query(text, values)).rows;
      } finally {
        await client.end();
      }
    },
    connect,
  };
}
