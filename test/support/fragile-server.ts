import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startEmbeddedServer } from '../../src/embedded/server.ts';
import { runSql } from './fresh-database.ts';
import { childrenOf, isRunning, killFamily, signalFamily, signalProcess } from './processes.ts';
import { eventually } from './service-process.ts';
import { findStablePort } from './stable-port.ts';

/** A PostgreSQL server that is there to break, always on the same port, so that a URL survives what is done to it. */
export interface FragileServer {
  /** Of a superuser. */
  readonly url: URL;
  /** An empty database, in a tablespace if one is named. */
  createDatabase(tablespace?: string): Promise<URL>;
  /** The postmaster and all its children, as a power failure would; resolves when they are gone. */
  kill(): Promise<void>;
  /** A fast shutdown, as an operator does it: all connections are ended with 57P01. */
  stop(): Promise<void>;
  /** Starts it again on its data, with other settings if any are named. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>;
  /** Another server with a copy of its data, which follows it from now on. It is down for a moment meanwhile. */
  createStandby(): Promise<FragileServer>;
  /** Stops the clock of all its processes: connections stay open, nothing answers. */
  freeze(): void;
  /** The same for the postmaster alone: open connections work, new ones are never greeted. */
  freezePostmaster(): void;
  thaw(): void;
  /** What it has written to its log since it was made. */
  log(): Promise<string>;
  /** Running again, whatever was done to it. */
  restore(): Promise<void>;
  /** Ends it for good and removes its data. */
  remove(): Promise<void>;
}

export interface FragileServerOptions {
  /** Where its data is to be; the folder for temporary files when left out. */
  readonly parent?: string;
  /** The folder of the server, at rest, whose copy this one is to be. */
  readonly copied?: string;
}

/** What is killed here are processes, not the machine: the page cache survives, and fsync would prove nothing. */
const settings = { fsync: 'off', max_connections: '200' };

export async function createFragileServer(options: FragileServerOptions = {}): Promise<FragileServer> {
  const { parent = tmpdir(), copied } = options;
  const folder = await mkdtemp(join(parent, 'm2pg-fragile-'));
  if (copied !== undefined) await copyData(copied, folder);
  const logs = await mkdtemp(join(tmpdir(), 'm2pg-fragile-log-'));
  const logFile = join(logs, 'db.log');
  // Elsewhere: what a server says when its disk is full has no room there.
  await symlink(logFile, join(folder, 'db.log'));
  const port = String(await findStablePort());
  const startOnPort = (more = {}) => startEmbeddedServer(folder, 'db', { ...settings, ...more, port });
  let server = await startOnPort();

  const fragile: FragileServer = {
    url: server.url,
    async createDatabase(tablespace = 'pg_default') {
      const url = new URL(server.url);
      url.pathname = `/test_${randomUUID().replaceAll('-', '')}`;
      await runSql(server.url, `create database ${url.pathname.slice(1)} tablespace ${tablespace}`);
      return url;
    },
    kill: () => killFamily(server.pid),
    stop: () => server.stop(),
    async start(more) {
      server = await startOnPort(more);
    },
    async createStandby() {
      await server.stop();
      const data = join(folder, 'db');
      const { hostname, port: portOfIt, username, password } = server.url;
      const leader = `host=${hostname} port=${portOfIt} user=${username} password=${password}`;
      await writeFile(join(data, 'standby.signal'), '');
      await appendFile(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${leader}'\n`);
      try {
        return await createFragileServer({ copied: folder });
      } finally {
        await rm(join(data, 'standby.signal'));
        server = await startOnPort();
      }
    },
    freeze: () => void signalFamily(server.pid, 'SIGSTOP'),
    freezePostmaster: () => void process.kill(server.pid, 'SIGSTOP'),
    thaw() {
      // Children first: a postmaster that finds one too slow would begin to kill.
      for (const member of [...childrenOf(server.pid), server.pid]) signalProcess(member, 'SIGCONT');
    },
    log: () => readFile(logFile, 'utf8'),
    async restore() {
      // One that is about to end after a panic runs, too, at the first look.
      await eventually(async () => {
        if (isRunning(server.pid)) fragile.thaw();
        else await fragile.start();
        await runSql(server.url, 'select 1');
      }, 30_000);
    },
    async remove() {
      await killFamily(server.pid);
      for (const made of [folder, logs]) await rm(made, { recursive: true, force: true });
    },
  };
  return fragile;
}

/** What a server holds, and the password by which it is reached, with the owners that they have. */
async function copyData(from: string, to: string): Promise<void> {
  for (const name of ['db', 'password']) await promisify(execFile)('cp', ['-a', join(from, name), join(to, name)]);
}

/** Several at once, which takes as long as one. */
export function createFragileServers(count: number): Promise<FragileServer[]> {
  return Promise.all(Array.from({ length: count }, () => createFragileServer()));
}
