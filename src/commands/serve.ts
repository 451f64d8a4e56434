import packageJson from '../../package.json' with { type: 'json' };
import type { Config } from '../config.ts';
import { maintainForever } from '../database/maintain.ts';
import { Failure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { createApp } from '../http/app.ts';
import { type HttpServer, serveHttp } from '../http/server.ts';
import { createLog } from '../log.ts';
import { createStatusBoard } from '../status.ts';
import { createTelemetry } from '../telemetry.ts';
import { type Databases, describeEmbedded, openDatabases, startDatabases } from './databases.ts';
import { isDoneBefore } from './is-done-before.ts';
import { nextSignal } from './next-signal.ts';
import { openStore } from './open-store.ts';

/**
 * What a platform gives a process between SIGTERM and SIGKILL is 30 s on Heroku and Kubernetes, 10 s with Docker; some of
 * it is for closing connections.
 */
const stopTimeoutMs = 9_000;

/** Bulk loads that have not ended by then are ended, with an answer that tells how far they came. */
const bulkGraceMs = 5_000;

/** Where nobody chose a port, so many above the default are tried. */
const portsTriedMax = 20;

/** Runs the service until SIGTERM or SIGINT; resolves when all that was in progress is done, or its time is up. */
export async function serve(config: Config): Promise<void> {
  const now = () => Date.now() / 1000;
  const observers: Observe[] = [createLog(config.logLevel)];
  const observe: Observe = (observation) => {
    for (const observer of observers) observer(observation);
  };

  // Listened to from the start: the servers of our own are not to stay behind when it is broken off.
  const signalled = nextSignal();
  const opened = await openDatabases(config, observe);
  const { databases } = opened;
  const { writeAcks, retentionSeconds, bodyBytesMax } = config;
  const telemetry = createTelemetry(databases.map(({ name }) => name));
  const board = createStatusBoard({
    version: packageJson.version,
    writeAcks,
    databases: () => databases.map((database) => database.status()),
  });
  observers.push(telemetry.observe, board.observe);

  const store = openStore(opened, config, observe);
  const bulkEnd = new AbortController();
  const app = createApp({
    store,
    stopping: bulkEnd.signal,
    now,
    bodyBytesMax,
    retentionSeconds,
    operation: { isReady: board.isReady, status: board.status, metrics: telemetry.render },
    version: packageJson.version,
    observe,
  });

  await startDatabases(opened);
  const server = await listen(app, config);
  announce(server, config, opened, observe);
  const stopping = new AbortController();
  const { packAfterSeconds } = config;
  const maintenance = maintainForever({ databases, retentionSeconds, packAfterSeconds, now, observe }, stopping.signal);

  const signal = await signalled;
  observe({ type: 'stopping', signal });
  const deadlineMs = performance.now() + stopTimeoutMs;
  stopping.abort();
  setTimeout(() => bulkEnd.abort(new Failure('stopping', 'the service is stopping')), bulkGraceMs).unref();
  await server.stop(stopTimeoutMs);
  const isDrained = await isDoneBefore(Promise.all([store.drain(), maintenance]), deadlineMs);
  const isClosed = await isDoneBefore(opened.close(), deadlineMs + stopTimeoutMs);
  observe({ type: 'stopped', clean: isDrained && isClosed });
}

async function listen(app: Parameters<typeof serveHttp>[0], { host, port, isPortGiven }: Config): Promise<HttpServer> {
  for (let candidate = port; ; candidate += 1) {
    try {
      return await serveHttp(app, host, candidate);
    } catch (error) {
      const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
      if (!isTaken) throw error;
      if (isPortGiven) throw new Error(`port ${port} is taken; set PORT to another one`);
      if (candidate === port + portsTriedMax) throw new Error(`ports ${port} to ${candidate} are taken; set PORT`);
    }
  }
}

function announce({ port }: HttpServer, config: Config, { embedded }: Databases, observe: Observe): void {
  const isLoopback = ['127.0.0.1', '::1', 'localhost'].includes(config.host);
  const url = `http://localhost:${port}`;
  if (embedded.length > 0) {
    process.stdout.write(`${describeEmbedded(embedded)}

  write:  curl -d '{"name":"hello.world","value":42}' ${url}/metrics
  read:   curl '${url}/metrics?name=hello'
  more:   ${url}/docs

`);
  }
  observe({ type: 'listening', url: isLoopback ? url : `http://${config.host}:${port}`.replace('//::', '//[::]') });
}
