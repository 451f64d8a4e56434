import cluster from 'node:cluster';
import type { Config } from '../config.ts';
import type { Observe } from '../domain/observation.ts';
import { createLog } from '../log.ts';
import { createCalls } from './calls.ts';
import { openDatabases, settingsOf, startDatabases } from './databases.ts';
import { createService } from './service.ts';

/** Longer than the primary waits for the other workers. */
const metricsTimeoutMs = 3_000;

/**
 * Serves as one of several processes on one port (`serve-together.ts`), until the primary says so or a signal reaches
 * it. When the primary is gone, Node ends a worker by itself.
 */
export async function serveAsWorker(config: Config): Promise<void> {
  const observers: Observe[] = [createLog(config.logLevel, undefined, cluster.worker?.id)];
  const observe: Observe = (observation) => {
    for (const observer of observers) observer(observation);
  };
  const { promise: stopped, resolve: stop } = Promise.withResolvers<string>();
  // Ctrl-C reaches us as well as the primary, which then tells us so: to be asked twice is nothing special here.
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);

  const opened = await openDatabases(config, observe, { settings: settingsOf(config) });
  const service = createService({
    config,
    opened,
    observe,
    metrics: async () => (await call('metrics', '', metricsTimeoutMs)) as { contentType: string; text: string },
  });
  const call = createCalls(process, {
    stop: async (signal) => void stop(signal),
    snapshot: async () => service.telemetry.snapshot(),
  });
  observers.push(service.observe);
  await startDatabases(opened);
  await service.listen();
  await service.stop(await stopped);
}
