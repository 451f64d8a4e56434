import type { Config } from '../config.ts';
import type { Observe } from '../domain/observation.ts';
import { createLog } from '../log.ts';
import { createTelemetry, renderTogether } from '../telemetry.ts';
import { announce } from './announce.ts';
import { type Databases, looksAt, openDatabases, settingsOf, startDatabases } from './databases.ts';
import { isDoneBefore } from './is-done-before.ts';
import { lookAfter } from './look-after.ts';
import { nextSignal } from './next-signal.ts';
import { stopTimeoutMs } from './service.ts';
import { createWorkers } from './workers.ts';

/** A worker needs a moment more than what it waits for: it closes its connections. */
const workersTimeoutMs = stopTimeoutMs + 700;

/**
 * Runs the service as several processes on one port. This one starts the servers of our own, migrates, maintains and
 * looks after the workers; they serve.
 *
 * @throws Error when the workers cannot be started, or not any more.
 */
export async function serveTogether(config: Config): Promise<void> {
  const observers: Observe[] = [createLog(config.logLevel)];
  const observe: Observe = (observation) => {
    for (const observer of observers) observer(observation);
  };
  const signalled = nextSignal();
  const opened = await openDatabases(config, observe, { settings: settingsOf(config) });
  const { databases, memory } = opened;
  const looks = () => looksAt(databases);
  const telemetry = createTelemetry(
    databases.map(({ name }) => name),
    looks,
  );
  observers.push(telemetry.observe);
  await startDatabases(opened);

  const workers = createWorkers({
    count: config.webConcurrency,
    environment: environmentOf(config, opened),
    answers: {
      metrics: async () => {
        const snapshots = await workers.snapshots();
        return renderTogether(new Map([['primary', await telemetry.snapshot()], ...snapshots]));
      },
    },
    observe,
  });
  const stopping = new AbortController();
  const now = () => Date.now() / 1000;
  let maintenance: Promise<void> = Promise.resolve();
  const end = async (signal: string): Promise<void> => {
    const deadlineMs = performance.now() + stopTimeoutMs;
    stopping.abort();
    opened.leaveServers();
    const areStopped = await workers.stop(signal, workersTimeoutMs);
    const isMaintained = await isDoneBefore(maintenance, deadlineMs);
    const isClosed = await isDoneBefore(opened.close(), deadlineMs + stopTimeoutMs);
    observe({ type: 'stopped', clean: areStopped && isMaintained && isClosed });
  };

  try {
    const port = await Promise.race([workers.start(), signalled]);
    if (typeof port === 'number') {
      announce(port, config, opened, observe);
      const { retentionSeconds, packAfterSeconds } = config;
      maintenance = lookAfter({ databases, memory, retentionSeconds, packAfterSeconds, now, observe }, stopping.signal);
    }
    const signal = await Promise.race([signalled, workers.failed]);
    observe({ type: 'stopping', signal });
    await end(signal);
  } catch (error) {
    await end('SIGTERM');
    throw error;
  }
}

/** What the workers are to know that our environment does not tell them. */
function environmentOf(config: Config, { embedded }: Databases): Record<string, string> {
  return {
    HOST: config.host,
    ...(config.port === 0 && { PORT: '0' }),
    ...(embedded.length > 0 && { DATABASE_URLS: embedded.map(({ url }) => url.href).join('|') }),
  };
}
