import { relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { createDatabase, type Database } from '../database/database.ts';
import { createDeletionMemory, type DeletionMemory } from '../database/deletion-memory.ts';
import { applyDeletion, passDeletionsOn, type Run, seeDeletions, unsettledDeletions } from '../database/deletions.ts';
import type { DatabaseStatus } from '../database/health.ts';
import { createIdentities } from '../database/identities.ts';
import { createNotebook, type SettingsInUse } from '../database/notes.ts';
import { createPresence, type Presence } from '../database/presence.ts';
import { withTimeout } from '../database/with-timeout.ts';
import type { Observe } from '../domain/observation.ts';
import { isFolderLocked, lockFolder } from '../embedded/folder-lock.ts';
import { type EmbeddedServer, findEmbeddedServer, startEmbeddedServer } from '../embedded/server.ts';
import { isDoneBefore } from './is-done-before.ts';

/** How long one insert may take, at least. Longer than a write waits for its answer: the copies that come late count as well. */
const insertTimeoutMinMs = 10_000;

/**
 * A server that gives up a read says so before our own time is up: then it is known that the read was at fault, not the
 * server, and nothing of it runs on. A tenth of the time, and no more than this.
 */
const readMarginMaxMs = 250;

/** A step of maintenance takes tenths of a second; on a slow server with a large week it may be seconds. */
const maintainTimeoutMs = 60_000;

/**
 * A server that answers at all answers within this: with TLS and a password that takes seven round trips, and there are
 * networks where each takes half a second. Longer waits only hold connections.
 */
const connectTimeoutMs = 5_000;

/** A first look at a database that is frozen or far away must not keep the others from serving. */
const startTimeoutMs = 5_000;

/** What takes longer, repair does later. */
const deleteFirstMs = 5_000;

/** The goodbyes of healthy databases take milliseconds; a frozen one never answers, and the process ends anyway. */
const closeTimeoutMs = 500;

/** What servers of our own are given to stop. */
const stopTimeoutMs = 9_000;

const folder = '.m2pg';
const embeddedNames = ['db1', 'db2'];

/** Databases to work with, wherever they come from. */
export interface Databases {
  readonly databases: readonly Database[];
  /** The servers that we started or took over because no databases were given; else empty. */
  readonly embedded: readonly EmbeddedServer[];
  /** The deletions that this process has seen. */
  readonly memory: DeletionMemory;
  /** Servers of our own that end from now on are not started again. */
  leaveServers(): void;
  /** Where our settings are noted. */
  readonly presence: Presence;
  /** Ends the connections, in bounded time, then the servers that are ours. */
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Of servers of our own, that those of an m2pg that runs are used beside it. Else that is an error: two must not stop them. */
  readonly isGuest?: boolean;
  /** What services of the same databases must know of this process; nothing when left out. */
  readonly settings?: SettingsInUse;
}

/** What a service notes in its databases. */
export function settingsOf({ writeAcks, retentionSeconds, packAfterSeconds }: Config): Required<SettingsInUse> {
  return {
    write_acks: writeAcks,
    retention_seconds: retentionSeconds ?? Number.POSITIVE_INFINITY,
    pack_after_seconds: packAfterSeconds ?? Number.POSITIVE_INFINITY,
  };
}

/** The databases of the configuration or, when it names none, two servers of our own in `./.m2pg`. Connects to none yet. */
export async function openDatabases(
  config: Config,
  observe: Observe,
  { isGuest = false, settings = {} }: OpenOptions = {},
): Promise<Databases> {
  const { servers, leave, stop } =
    config.databaseUrls === 'embedded' ? await openEmbeddedServers(isGuest, observe) : noServers;
  const urls = config.databaseUrls === 'embedded' ? servers.map(({ url }) => url) : config.databaseUrls;
  const claimIdentity = createIdentities();
  const memory = createDeletionMemory();
  const presence = createPresence();
  const databases: Database[] = urls.map((url, index) =>
    createDatabase({
      name: `db${index + 1}`,
      url,
      sslMode: config.sslMode,
      poolSizeMax: config.poolSizeMax,
      connectTimeoutMs,
      timeoutMs: {
        write: Math.max(insertTimeoutMinMs, config.writeTimeoutMs),
        read: Math.ceil(config.readTimeoutMs - Math.min(readMarginMaxMs, config.readTimeoutMs / 10)),
        maintain: maintainTimeoutMs,
      },
      claimIdentity,
      beforeUse: (run) =>
        deleteFirst(
          run,
          databases.filter((_, other) => other !== index),
          memory,
        ),
      notebook: createNotebook({ name: `db${index + 1}`, settings, presence }),
      observe,
    }),
  );
  return {
    databases,
    embedded: servers,
    memory,
    leaveServers: leave,
    presence,
    async close() {
      const closed = Promise.all(databases.map((database) => database.close()));
      await Promise.race([closed, sleep(closeTimeoutMs, undefined, { ref: false })]);
      await stop();
    },
  };
}

/** What was deleted while a database was away is not to be seen in it for an instant, whether the others are there or not. */
async function deleteFirst(run: Run, others: readonly Database[], memory: DeletionMemory): Promise<void> {
  const endMs = performance.now() + deleteFirstMs;
  const readable = others.filter((other) => ['up', 'read_only'].includes(other.status().state));
  const known = await Promise.allSettled(
    readable.map((other) => {
      const deletions = seeDeletions((text, values = []) => other.query('read', { text, values }));
      return withTimeout(deletions, deleteFirstMs);
    }),
  );
  const seen = known.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  memory.remember(seen);
  await passDeletionsOn(run, memory.with(seen));
  for (const id of await unsettledDeletions(run)) {
    if (performance.now() > endMs) return;
    await applyDeletion(run, id, () => performance.now() < endMs);
  }
}

/**
 * Connects and migrates, each as far as it can be reached in bounded time; the others are used once they are up.
 *
 * @throws Error when one of them must not be used: that is a mistake of whoever deployed this. All are closed then.
 */
export async function startDatabases({ databases, close }: Databases): Promise<void> {
  const started = Promise.all(databases.map((database) => database.start()));
  await Promise.race([started, sleep(startTimeoutMs, undefined, { ref: false })]);
  const refused = databases.map((database) => database.status()).filter(({ state }) => state === 'refused');
  if (refused.length === 0) return;
  await isDoneBefore(close(), performance.now() + closeTimeoutMs + stopTimeoutMs);
  throw new Error(refused.map(describeRefused).join('\n'));
}

/** One line for each database that cannot be asked, for the person at the terminal. */
export function describeDown({ databases }: Databases): string[] {
  return databases
    .map((database) => database.status())
    .filter(({ state }) => state !== 'up' && state !== 'read_only')
    .map(({ name, lastFailure }) => `${name} is left out: it ${lastFailure?.message ?? 'has not been reached yet'}`);
}

/** What telemetry shows of each database that has been looked at. */
export function looksAt(databases: readonly Database[]) {
  return databases.flatMap((database) => {
    const notes = database.notes();
    if (notes === undefined) return [];
    const { name, clockOffsetMs } = database.status();
    return [{ database: name, clockOffsetMs, weeksHeldBack: notes.weeksHeldBack }];
  });
}

/** Why a database is refused, for whoever deployed this. */
export function describeRefused({ name, lastFailure }: DatabaseStatus): string {
  return `${name} is refused: it ${lastFailure?.message}`;
}

const noServers = {
  servers: [] as readonly EmbeddedServer[],
  leave: () => undefined,
  stop: async () => undefined,
};

async function openEmbeddedServers(isGuest: boolean, observe: Observe) {
  if (!isGuest || !(await isFolderLocked(folder))) return startEmbeddedServers(observe);
  const running = await Promise.all(embeddedNames.map((name) => findEmbeddedServer(folder, name)));
  const servers = running.filter((server) => server !== undefined);
  // One that is only just starting, or stopping, has not both.
  return servers.length === embeddedNames.length ? { ...noServers, servers } : startEmbeddedServers(observe);
}

async function startEmbeddedServers(observe: Observe) {
  const unlock = await lockFolder(folder);
  const starts = await Promise.allSettled(embeddedNames.map((name) => startEmbeddedServer(folder, name)));
  const servers = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  // Also when we end by an error of ours, the servers do not stay behind.
  const stopAtExit = () => {
    for (const server of servers) server.interrupt();
  };
  process.once('exit', stopAtExit);
  const stop = async () => {
    process.off('exit', stopAtExit);
    await Promise.all(servers.map((server) => server.stop()));
    await unlock();
  };
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed) {
    await stop();
    throw failed.reason;
  }
  const leaving = new AbortController();
  servers.forEach((server, index) => {
    const database = embeddedNames[index] ?? '';
    server.keepRunning((event) => observe({ ...event, database }), leaving.signal);
  });
  return { servers, leave: () => leaving.abort(), stop };
}

/** What was done to have databases, for the person at the terminal; no passwords. */
export function describeEmbedded(servers: readonly EmbeddedServer[]): string {
  const lines = servers.map(({ url, isAdopted }, index) => {
    const shown = new URL(url);
    shown.password = '';
    const directory = relative('.', `${folder}/${embeddedNames[index]}`);
    return `  ${embeddedNames[index]}  ${shown}  ${isAdopted ? 'was running, taken over' : 'started'}, data in ${directory}`;
  });
  return ['DATABASE_URLS is not set: m2pg keeps its data in two PostgreSQL servers of its own.', ...lines].join('\n');
}
