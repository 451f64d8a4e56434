import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findStablePort } from '../test/support/stable-port.ts';
import { openTcpLink, type TcpLink } from '../test/support/tcp-link.ts';
import { createClock } from './clock.ts';
import { checkOutOlderVersion, saysTooOld } from './older-version.ts';
import { type Pooler, poolerMissing, startPooler } from './pooler.ts';
import type { Random } from './random.ts';
import { startTortureServer, type TortureServer } from './server.ts';
import { createTortureService, type TortureService } from './service.ts';
import { databases, environmentOf, type Settings } from './settings.ts';

/** Index of the database whose disk can be filled up. */
export const smallDiskAt = 1;

/** Between which service and database the pooler is, where there is one. */
export const poolerAt = { service: 2, database: 2 } as const;

export const writeTimeoutMs = 2_000;
export const readTimeoutMs = 3_000;

/** Three databases, three services, and a link from each service to each database. */
export interface Ground {
  /** Of the sources that the services run. */
  readonly root: string;
  readonly folder: string;
  readonly settings: Settings;
  readonly servers: readonly TortureServer[];
  readonly services: readonly TortureService[];
  /** By service, then by database. */
  readonly links: readonly (readonly TcpLink[])[];
  readonly pooler: Pooler | undefined;
  /** Starts a service with the databases in whatever order. */
  startService(index: number): Promise<void>;
  /**
   * Starts one of the version before, if the databases let it: one that they are too new for ends, and says why.
   */
  startOlderService(index: number): Promise<void>;
  /** Whether a service is, or was last, of the version before. */
  isOlder(index: number): boolean;
  /** Waits until every service reads from every database, for so long at most. */
  untilUsed(withinMs: number): Promise<void>;
  /** Whether all databases hold what any of them held a moment before. */
  areEqual(): Promise<boolean>;
  close(): Promise<void>;
}

export interface GroundOptions {
  readonly root: string;
  /** The repository, where the version before is. */
  readonly repository: string;
  readonly settings: Settings;
  readonly random: Random;
  /** Whether the version before may be started. */
  readonly hasOlder: boolean;
  /** Whether clocks may be set. */
  readonly hasClocks: boolean;
  readonly areEqual: (servers: readonly TortureServer[]) => Promise<boolean>;
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
async function startGround(options: GroundOptions, closers: Closer[]): Promise<Omit<Ground, 'close'>> {
  const { root, repository, settings, random, hasOlder, hasClocks } = options;
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-torture-'));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  // Servers of another user read their clocks there.
  await chmod(folder, 0o755);
  const olderRoot = hasOlder ? await checkOutOlderVersion(repository, join(folder, 'older')) : undefined;
  const names = Array.from({ length: databases }, (_, index) => `db${index + 1}`);
  const servers = await startAll(
    names.map((name, index) =>
      startTortureServer(folder, name, { hasSmallDisk: index === smallDiskAt, hasClock: hasClocks }),
    ),
    (server) => closers.push(() => server.remove()),
  );
  const pooler = await startPoolerOf(folder, servers, settings);
  if (pooler) closers.push(() => pooler.kill());
  const links = await linkAll(servers, pooler, settings);
  closers.push(() => Promise.all(links.flat().map((link) => link.close())));
  const all = await createServices(folder, settings, hasClocks);
  closers.push(() => Promise.all(all.map((service) => service.end('SIGKILL'))));
  const starter = createStarter({ root, olderRoot, services: all, links, random });
  if (olderRoot && settings.has.has('older-version-first')) await starter.startOlderService(settings.olderAt);
  await startAll(all.map((_, index) => (starter.isOlder(index) ? Promise.resolve() : starter.startService(index))));
  return {
    ...{ root, folder, settings, servers, services: all, links, pooler, ...starter },
    areEqual: () => options.areEqual(servers).catch(() => false),
    async untilUsed(withinMs) {
      const deadlineMs = performance.now() + withinMs;
      const isUsed = async () =>
        (await Promise.all(all.map((service) => service.states()))).flat().filter(isReadFrom).length ===
        all.length * databases;
      while (!(await isUsed()) && performance.now() < deadlineMs) await sleep(200);
    },
  };
}

const isReadFrom = (state: string) => state === 'up' || state === 'read_only';

async function startPoolerOf(
  folder: string,
  servers: readonly TortureServer[],
  { has }: Settings,
): Promise<Pooler | undefined> {
  const server = servers[poolerAt.database];
  return server && has.has('pooler') && !poolerMissing() ? startPooler(folder, 'pooler', server.url) : undefined;
}

function linkAll(
  servers: readonly TortureServer[],
  pooler: Pooler | undefined,
  { services }: Settings,
): Promise<TcpLink[][]> {
  const isPooled = (service: number, database: number) =>
    service === poolerAt.service && database === poolerAt.database;
  return Promise.all(
    services.map((_, service) =>
      Promise.all(servers.map(({ url }, database) => openTcpLink((isPooled(service, database) && pooler?.url) || url))),
    ),
  );
}

function createServices(folder: string, { services }: Settings, hasClocks: boolean): Promise<TortureService[]> {
  return Promise.all(
    services.map(async (settings, index) => {
      const path = join(folder, `service${index + 1}`);
      const environment = {
        ...environmentOf(settings),
        WRITE_TIMEOUT_MS: String(writeTimeoutMs),
        READ_TIMEOUT_MS: String(readTimeoutMs),
      };
      const clock = hasClocks ? await createClock(`${path}.clock`, { hasThreads: true }) : undefined;
      return createTortureService({ port: await findStablePort(), logFile: `${path}.log`, environment, clock });
    }),
  );
}

interface StarterOptions extends Pick<Ground, 'root' | 'services' | 'links'> {
  readonly olderRoot: string | undefined;
  readonly random: Random;
}

function createStarter({
  root,
  olderRoot,
  services,
  links,
  random,
}: StarterOptions): Pick<Ground, 'startService' | 'startOlderService' | 'isOlder'> {
  const older = new Set<number>();
  const start = (from: string, index: number) => {
    const urls = (links[index] ?? []).map(({ url }) => url);
    const order = urls.map((url) => ({ url, at: random.next() })).toSorted((a, b) => a.at - b.at);
    return services[index]?.start(
      from,
      order.map(({ url }) => url),
    );
  };
  return {
    async startService(index) {
      older.delete(index);
      if (!(await start(root, index))) throw new Error(`service${index + 1}: a service did not start; see its log`);
    },
    async startOlderService(index) {
      if (olderRoot === undefined) throw new Error('BUG: there is no version before');
      older.add(index);
      if ((await start(olderRoot, index)) || saysTooOld((await services[index]?.log()) ?? '')) return;
      throw new Error(`service${index + 1}: a service of the version before did not start, and does not say why`);
    },
    isOlder: (index) => older.has(index),
  };
}

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
