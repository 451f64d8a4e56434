import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findStablePort } from '../test/support/stable-port.ts';
import { openTcpLink, type TcpLink } from '../test/support/tcp-link.ts';
import type { Random } from './random.ts';
import { startTortureServer, type TortureServer } from './server.ts';
import { createTortureService, type TortureService } from './service.ts';

const databases = 3;
const services = 3;

/** Index of the database whose disk can be filled up. */
export const smallDiskAt = 1;

export const writeTimeoutMs = 2_000;
export const readTimeoutMs = 3_000;

/** Three databases, three services, and a link from each service to each database. */
export interface Ground {
  readonly folder: string;
  readonly servers: readonly TortureServer[];
  readonly services: readonly TortureService[];
  /** By service, then by database. */
  readonly links: readonly (readonly TcpLink[])[];
  /** Starts a service with the databases in whatever order. */
  startService(index: number): Promise<void>;
  /** Waits until every service reads from every database, for so long at most. */
  untilUsed(withinMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface GroundOptions {
  readonly root: string;
  readonly writeAcks: number;
  readonly random: Random;
}

/** Starts everything; what was started is closed again when something of it does not start. */
export async function prepareGround(options: GroundOptions): Promise<Ground> {
  const closers: Closer[] = [];
  const close = async () => {
    for (const closeOne of closers.splice(0).toReversed()) await closeOne();
  };
  try {
    return { ...(await startGround(options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Closer = () => Promise<unknown>;

/** @param closers Gets what closes each thing that was started, in the order in which they were. */
async function startGround(
  { root, writeAcks, random }: GroundOptions,
  closers: Closer[],
): Promise<Omit<Ground, 'close'>> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-torture-'));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const names = Array.from({ length: databases }, (_, index) => `db${index + 1}`);
  const servers = await startAll(
    names.map((name, index) => startTortureServer(folder, name, { hasSmallDisk: index === smallDiskAt })),
    (server) => closers.push(() => server.remove()),
  );
  const links = await Promise.all(
    Array.from({ length: services }, () => Promise.all(servers.map(({ url }) => openTcpLink(url)))),
  );
  closers.push(() => Promise.all(links.flat().map((link) => link.close())));
  const environment = {
    WRITE_ACKS: String(writeAcks),
    WRITE_TIMEOUT_MS: String(writeTimeoutMs),
    READ_TIMEOUT_MS: String(readTimeoutMs),
    POOL_SIZE_MAX: '6',
  };
  const all = await Promise.all(
    links.map(async (_, index) => {
      const logFile = join(folder, `service${index + 1}.log`);
      return createTortureService({ root, port: await findStablePort(), logFile, environment });
    }),
  );
  closers.push(() => Promise.all(all.map((service) => service.end('SIGKILL'))));
  const ground: Omit<Ground, 'close'> = {
    folder,
    servers,
    services: all,
    links,
    async startService(index) {
      const urls = (links[index] ?? []).map(({ url }) => url);
      const order = urls.map((url) => ({ url, at: random.next() })).toSorted((a, b) => a.at - b.at);
      await all[index]?.start(order.map(({ url }) => url));
    },
    async untilUsed(withinMs) {
      const deadlineMs = performance.now() + withinMs;
      const isUsed = async () =>
        (await Promise.all(all.map((service) => service.states()))).flat().filter(isReadFrom).length ===
        services * databases;
      while (!(await isUsed()) && performance.now() < deadlineMs) await sleep(200);
    },
  };
  await startAll(all.map((_, index) => ground.startService(index)));
  return ground;
}

const isReadFrom = (state: string) => state === 'up' || state === 'read_only';

/**
 * Waits for all of them, also when one fails: what starts afterwards, nobody would close.
 *
 * @param onStarted Is told of each that has started.
 * @throws What the first one that fails rejects with.
 */
async function startAll<Started>(
  starts: readonly Promise<Started>[],
  onStarted: (started: Started) => unknown = () => undefined,
): Promise<Started[]> {
  for (const start of await Promise.allSettled(starts)) if (start.status === 'fulfilled') onStarted(start.value);
  return Promise.all(starts);
}
