import packageJson from '../../package.json' with { type: 'json' };
import type { Config } from '../config.ts';
import { compareClocks } from '../database/clocks.ts';
import { longestInUse } from '../database/notes.ts';
import { splitPool } from '../database/pools.ts';
import { Failure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { createApp } from '../http/app.ts';
import type { Operation } from '../http/operation-routes.ts';
import { type HttpServer, serveHttp } from '../http/server.ts';
import { createCopy } from '../repair/copy.ts';
import { createDeleter } from '../repair/deletions.ts';
import { createStatusBoard, type SharedStatus } from '../status.ts';
import { createTelemetry, type Telemetry } from '../telemetry.ts';
import { type Databases, looksAt } from './databases.ts';
import { isDoneBefore } from './is-done-before.ts';
import { type OpenedStore, openStore } from './open-store.ts';

/**
 * What a platform gives a process between SIGTERM and SIGKILL is 30 s on Heroku and Kubernetes, 10 s with Docker; some of
 * it is for closing connections.
 */
export const stopTimeoutMs = 9_000;

/**
 * Bulk loads that have not ended by then are ended, with an answer that tells how far they came, and reads wait no longer
 * for a database: they are answered with what the others hold.
 */
const graceMs = 5_000;

/** Where nobody chose a port, so many above the default are tried. */
const portsTriedMax = 20;

export interface ServiceOptions {
  readonly config: Config;
  readonly opened: Databases;
  readonly observe: Observe;
  /** What `/-/metrics` answers; the telemetry of this process when left out. */
  readonly metrics?: Operation['metrics'];
}

/** The service in one process. */
export interface Service {
  /** To be told of everything that `observe` is told. */
  readonly observe: Observe;
  readonly telemetry: Telemetry;
  /** @returns The port that it really got. */
  listen(): Promise<number>;
  /**
   * Ends what is in progress and then the databases, in bounded time.
   *
   * @param work What else is to end before the databases are closed.
   */
  stop(signal: string, work?: Promise<unknown>): Promise<void>;
}

/** Wires the service to its databases. It does not listen yet. */
export function createService({ config, opened, observe, metrics }: ServiceOptions): Service {
  const { databases } = opened;
  const { writeAcks, retentionSeconds, ageMaxSeconds, bodyBytesMax } = config;
  const looks = () => looksAt(databases);
  const telemetry = createTelemetry(
    databases.map(({ name }) => name),
    looks,
  );
  const graceEnd = new AbortController();
  const store = openStore(opened, config, observe, graceEnd.signal);
  const board = createStatusBoard({
    version: packageJson.version,
    writeAcks,
    databases: () => databases.map((database) => database.status()),
    pending: store.pending,
    shared: () => sharedStatus(opened, config, store),
  });
  const copies = databases.map((database) => createCopy({ database, observe }));
  const app = createApp({
    store,
    deleter: createDeleter({ copies, acks: writeAcks, memory: opened.memory }),
    stopping: graceEnd.signal,
    now: () => Date.now() / 1000,
    bodyBytesMax,
    retentionSeconds,
    ageMaxSeconds,
    readsMax: splitPool(config.poolSizeMax).read,
    readWaitMs: config.readTimeoutMs,
    tokens: config.tokens,
    corsOrigins: config.corsOrigins,
    operation: { isReady: board.isReady, status: board.status, metrics: metrics ?? telemetry.render },
    version: packageJson.version,
    observe,
  });
  let server: HttpServer | undefined;

  return {
    telemetry,
    observe(observation) {
      telemetry.observe(observation);
      board.observe(observation);
    },
    async listen() {
      server = await listenWhereFree(app, config);
      return server.port;
    },
    async stop(signal, work) {
      observe({ type: 'stopping', signal });
      opened.leaveServers();
      const deadlineMs = performance.now() + stopTimeoutMs;
      setTimeout(() => graceEnd.abort(new Failure('stopping', 'the service is stopping')), graceMs).unref();
      let cutOff = 0;
      await server?.stop(stopTimeoutMs, (requests) => {
        cutOff = requests;
      });
      const isDrained = await isDoneBefore(Promise.all([store.drain(), work]), deadlineMs);
      const isClosed = await isDoneBefore(opened.close(), deadlineMs + stopTimeoutMs);
      observe({ type: 'stopped', clean: isDrained && isClosed && cutOff === 0, cutOff });
    },
  };
}

function sharedStatus({ databases }: Databases, config: Config, { agreed }: OpenedStore): SharedStatus {
  const { differenceSeconds, message } = compareClocks(databases, Date.now() / 1000);
  const daysOf = (seconds: number | undefined) => (seconds === undefined ? null : seconds / 86_400);
  return {
    acks: { writes: agreed.forWrites(), reads: agreed.forReads() },
    keeps: {
      retentionDays: daysOf(longestInUse(databases, 'retention_seconds', config.retentionSeconds)),
      packAfterDays: daysOf(longestInUse(databases, 'pack_after_seconds', config.packAfterSeconds)),
    },
    clocks: { differenceMs: Math.round(1000 * differenceSeconds), message },
    of: (name) => ({
      caughtUp: agreed.counts(name),
      weeksHeldBack: databases.find((database) => database.name === name)?.notes()?.weeksHeldBack ?? 0,
    }),
  };
}

async function listenWhereFree(
  app: Parameters<typeof serveHttp>[0],
  { host, port, isPortGiven, connectionsMax }: Config,
): Promise<HttpServer> {
  for (let candidate = port; ; candidate += 1) {
    try {
      return await serveHttp(app, { host, port: candidate, connectionsMax });
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken) throw error;
      if (isPortGiven) throw new Error(`port ${port} is taken; set PORT to another one`);
      if (candidate === port + portsTriedMax) throw new Error(`ports ${port} to ${candidate} are taken; set PORT`);
    }
  }
}
