/**
 * A PostgreSQL server of our own, for a first look and for tests: real, with its data in a folder.
 *
 * 1. A server that still runs on that data (we were killed, it was not) is taken over as it is.
 * 2. Data is made by initdb in a folder beside and then renamed, so that half-made data is never taken for whole.
 * 3. The server gets a process group of its own, so that Ctrl-C reaches us alone and we stop it when we are done.
 * 4. When it ends by itself it is started again, on the same port, as long as somebody keeps it running.
 *
 * Root may have put the folder where the server's user cannot go (a home of mode 0700). The server is then started with
 * its data as working directory and told to use `/proc/self/cwd`: a path that leads there without passing the folders
 * above. Refused alternative: data somewhere else, where nobody would look for it.
 */
import { execFile, spawn } from 'node:child_process';
import { chown, mkdir, mkdtemp, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Binaries, findBinaries } from './binaries.ts';
import { keepRunning, type ServerEvent } from './keep-running.ts';
import { readOrMakePassword } from './password.ts';
import {
  findPostmaster,
  isAlive,
  lookForPostmaster,
  type Postmaster,
  stopPostmaster,
  waitUntilReady,
  wasShutDown,
} from './postmaster.ts';
import { findServerUser, type ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** The superuser of the servers, and its database. */
const user = 'm2pg';
const database = 'postgres';

/** A chosen port can be taken by somebody else before the server has it. */
const startsMax = 3;

const stopTimeoutMs = 10_000;

/**
 * Only this machine reaches the server. A read of all data locks the partition of every week: with the default of 64, four such
 * reads at once use up the locks of a server that holds decades.
 */
const ourSettings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', max_locks_per_transaction: '256' };

/** A PostgreSQL server that m2pg runs itself. */
export interface EmbeddedServer {
  /** Of the postmaster; of the last one, when it was started again. */
  readonly pid: number;
  /** With the password: not for any log. */
  readonly url: URL;
  /** It ran already. */
  readonly isAdopted: boolean;
  /** Starts it again whenever it ends by itself, until the signal comes or it is stopped. */
  keepRunning(tell: (event: ServerEvent) => void, signal: AbortSignal): void;
  /** As `stop`, without waiting: for the exit of the process. */
  interrupt(): void;
  stop(): Promise<void>;
}

/**
 * Starts, or takes over, the server whose data is in `folder/name`; its log is `folder/name.log`.
 *
 * @param settings Configuration parameters of the server, beyond those of initdb.
 * @param environment Of its processes; ours when left out.
 * @throws Error that tells where to look when it does not start.
 */
export async function startEmbeddedServer(
  folder: string,
  name: string,
  settings: Readonly<Record<string, string>> = {},
  environment?: NodeJS.ProcessEnv,
): Promise<EmbeddedServer> {
  const directory = resolve(folder, name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const password = await readOrMakePassword(join(folder, 'password'));
  const serverUser = await findServerUser(directory);
  const binaries = await findBinaries(serverUser);
  if (!(await stat(directory).catch(() => undefined))) await initialize(directory, binaries, serverUser, password);

  const running = await findPostmaster(directory);
  // One that is still stopping ends while we wait.
  const adopted = running && (await waitUntilReady(directory, () => !isAlive(running.pid)).catch(() => undefined));
  let { pid, port } = adopted ?? (await start(directory, binaries, serverUser, { settings, environment }));
  const stopped = new AbortController();
  let kept: Promise<void> = Promise.resolve();
  /** At the last look. Once the server has ended, its process id may belong to any process. */
  let ran = true;
  const isRunning = async () => {
    const found = await lookForPostmaster(directory);
    ran = found?.port === port;
    if (ran && found) pid = found.pid;
    return ran;
  };
  const startAgain = async (signal: AbortSignal) => {
    await findPostmaster(directory);
    ({ pid } = await startOnce(
      directory,
      binaries,
      serverUser,
      { settings: { ...settings, port: String(port) }, environment },
      signal,
    ));
  };
  return {
    get pid() {
      return pid;
    },
    url: urlOf(port, password),
    isAdopted: adopted !== undefined,
    keepRunning(tell, signal) {
      const options = { isRunning, wasShutDown: () => wasShutDown(directory), start: startAgain, tell };
      kept = keepRunning(options, AbortSignal.any([signal, stopped.signal]));
    },
    interrupt() {
      try {
        if (ran) process.kill(pid, 'SIGINT');
      } catch {
        // It has ended already.
      }
    },
    async stop() {
      stopped.abort();
      await kept;
      if (await isRunning()) await stopPostmaster(pid, stopTimeoutMs);
    },
  };
}

/** The server whose data is in `folder/name` and that somebody else has started, and will stop; undefined when none is ready. */
export async function findEmbeddedServer(folder: string, name: string): Promise<EmbeddedServer | undefined> {
  const running = await findPostmaster(resolve(folder, name));
  if (!running?.isReady) return undefined;
  const url = urlOf(running.port, await readOrMakePassword(join(folder, 'password')));
  const nothing = () => undefined;
  return {
    pid: running.pid,
    url,
    isAdopted: true,
    keepRunning: nothing,
    interrupt: nothing,
    stop: async () => undefined,
  };
}

function urlOf(port: number, password: string): URL {
  return new URL(`postgres://${user}:${password}@127.0.0.1:${port}/${database}`);
}

async function initialize(directory: string, { initdb }: Binaries, as: ServerUser | undefined, password: string) {
  const unfinished = `${directory}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  const secrets = await mkdtemp(join(tmpdir(), 'm2pg-'));
  const passwordFile = join(secrets, 'password');
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (as) await Promise.all([unfinished, secrets, passwordFile].map((path) => chown(path, as.uid, as.gid)));
  try {
    const flags = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', `--username=${user}`];
    await run(initdb, ['-D', pathOf(unfinished, as), ...flags, `--pwfile=${passwordFile}`], { ...as, cwd: unfinished });
    await rename(unfinished, directory);
  } finally {
    await rm(secrets, { recursive: true, force: true });
  }
}

interface StartOptions {
  readonly settings: Readonly<Record<string, string>>;
  readonly environment: NodeJS.ProcessEnv | undefined;
}

async function start(
  directory: string,
  binaries: Binaries,
  as: ServerUser | undefined,
  { settings, environment }: StartOptions,
): Promise<Postmaster> {
  for (let attempt = 1; ; attempt += 1) {
    const port = String(await findFreePort());
    try {
      return await startOnce(directory, binaries, as, { settings: { port, ...settings }, environment });
    } catch (error) {
      if (attempt === startsMax) throw error;
    }
  }
}

/** @param signal Ends the server again while it is starting. */
async function startOnce(
  directory: string,
  { postgres }: Binaries,
  as: ServerUser | undefined,
  { settings, environment }: StartOptions,
  signal?: AbortSignal,
): Promise<Postmaster> {
  const logFile = `${directory}.log`;
  const parameters = Object.entries({ ...ourSettings, ...settings }).flatMap(([key, value]) => [
    '-c',
    `${key}=${value}`,
  ]);
  const log = await open(logFile, 'a', 0o600);
  const child = spawn(postgres, ['-D', pathOf(directory, as), ...parameters], {
    ...as,
    env: environment,
    cwd: directory,
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const end = () => void child.kill('SIGINT');
  signal?.addEventListener('abort', end);
  child.unref();
  try {
    const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
    return await Promise.race([failed, waitUntilReady(directory, hasEnded)]);
  } catch (cause) {
    throw new Error(`PostgreSQL did not start; see ${logFile}`, { cause });
  } finally {
    signal?.removeEventListener('abort', end);
    await log.close();
  }
}

function pathOf(directory: string, as: ServerUser | undefined): string {
  return as && process.platform === 'linux' ? '/proc/self/cwd' : directory;
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, reject) => server.once('error', reject).listen(0, '127.0.0.1', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('BUG: a TCP server without a port');
  return address.port;
}
