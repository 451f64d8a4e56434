import { execFile } from 'node:child_process';
import { chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { startEmbeddedServer } from '../src/embedded/server.ts';
import { findServerUser } from '../src/embedded/server-user.ts';
import { childrenOf, killFamily, signalFamily, signalProcess } from '../test/support/processes.ts';
import { mountSmallDisk, type SmallDisk } from '../test/support/small-disk.ts';
import { findStablePort } from '../test/support/stable-port.ts';
import { type Clock, createClock } from './clock.ts';

const execute = promisify(execFile);

/** What is acknowledged must be on disk: nothing is switched off that makes it so. Few connections, to be used up. */
const settings = { max_connections: '60' };

/** A PostgreSQL server to be mistreated; always on the same port. */
export interface TortureServer {
  readonly name: string;
  readonly url: URL;
  /** Undefined where no clock can be set. */
  readonly clock: Clock | undefined;
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
  /** Copies its files as they are; to be called when it was shut down. */
  copyFiles(): Promise<void>;
  /** Puts the files of the copy in the place of its own; to be called when it does not run. */
  restoreFiles(): Promise<void>;
  /** Runs SQL as superuser, past everything in between. */
  run(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Leaves no room for another row; false where it has no small disk of its own. */
  fillDisk(): Promise<boolean>;
  freeDisk(): Promise<void>;
  /** Ends it, whatever was done to it. */
  remove(): Promise<void>;
  /** A connection that stays. */
  connect(): Promise<pg.Client>;
}

/** Room for the summaries of ten minutes. What fills it up is held in memory. */
const diskMegabytes = 128;

export interface TortureServerOptions {
  /** Its tables are to be on a small disk of their own, where this user may mount one. */
  readonly hasSmallDisk?: boolean;
  /** Its clock is to be set, where that can be done. */
  readonly hasClock?: boolean;
}

/** Starts one with its data in a folder. */
export async function startTortureServer(
  folder: string,
  name: string,
  { hasSmallDisk = false, hasClock = false }: TortureServerOptions = {},
): Promise<TortureServer> {
  const port = String(await findStablePort());
  const clock = hasClock ? await createClock(join(folder, `${name}.clock`), { hasThreads: false }) : undefined;
  const environment = { ...process.env, ...clock?.environment };
  const startOnPort = () => startEmbeddedServer(folder, name, { ...settings, port }, environment);
  let server = await startOnPort();
  let disk: SmallDisk | undefined;
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
  const run = async (text: string, values: unknown[] = []) => {
    const client = await connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  };
  const thaw = () => {
    for (const member of [...childrenOf(server.pid), server.pid]) signalProcess(member, 'SIGCONT');
  };
  const tortured: TortureServer = {
    name,
    url: server.url,
    clock,
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
    thaw,
    async empty() {
      await rm(join(folder, name), { recursive: true });
      // What it is made of anew knows no tablespace.
      await disk?.remove();
      disk = undefined;
    },
    async copyFiles() {
      await copyFolder(join(folder, name), join(folder, 'copies', name));
      if (disk) await copyFolder(tablesIn(disk), join(folder, 'copies', `${name}-tables`));
    },
    async restoreFiles() {
      await copyFolder(join(folder, 'copies', name), join(folder, name));
      if (disk) await copyFolder(join(folder, 'copies', `${name}-tables`), tablesIn(disk));
    },
    run,
    async fillDisk() {
      await disk?.fill();
      return disk !== undefined;
    },
    freeDisk: async () => void (await disk?.free()),
    async remove() {
      thaw();
      await killFamily(server.pid);
      await disk?.remove();
    },
    connect,
  };
  try {
    disk = hasSmallDisk ? await mountSmallDisk(diskMegabytes) : undefined;
    if (disk) await moveTables(disk, run);
  } catch (error) {
    await tortured.remove();
    throw error;
  }
  return tortured;
}

const tablesIn = ({ path }: SmallDisk) => join(path, 'tables');

/** With the owners of everything in it; what was there before is gone. */
async function copyFolder(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await mkdir(join(to, '..'), { recursive: true });
  await execute('cp', ['-a', from, to]);
}

/** All tables that will be made; not the log of writes, without which a server stops. */
async function moveTables(disk: SmallDisk, run: TortureServer['run']): Promise<void> {
  const location = tablesIn(disk);
  await mkdir(location);
  const user = await findServerUser(location);
  if (user) await chown(location, user.uid, user.gid);
  await run(`create tablespace small location '${location}'`);
  await run('alter role m2pg set default_tablespace = small');
}
