import cluster from 'node:cluster';
import { type Config, ConfigError } from '../config.ts';
import type { Observe } from '../domain/observation.ts';
import { createLog } from '../log.ts';
import { announce } from './announce.ts';
import { openDatabases, settingsOf, startDatabases } from './databases.ts';
import { lookAfter } from './look-after.ts';
import { nextSignal } from './next-signal.ts';
import { serveAsWorker } from './serve-as-worker.ts';
import { serveTogether } from './serve-together.ts';
import { createService } from './service.ts';

/** What `--help` prints. */
export const serveHelp = `usage: m2pg [serve]

Serves HTTP until SIGTERM or SIGINT, and looks after the databases of DATABASE_URLS; without that variable it starts two
PostgreSQL servers of its own, with their data in ./.m2pg. It takes no options but environment variables, such as

  DATABASE_URLS='postgres://m2pg:secret@host-a/m2pg|postgres://m2pg:secret@host-b/m2pg' PORT=8080 TOKENS=… m2pg

README.md lists them all; what is wrong with them is said at start, all at once. /docs of the service says what it answers.
`;

/** What is done beside serving, in a process alone: from when it listens, until it ends by itself or the signal. */
export type Beside = (url: string, signal: AbortSignal) => Promise<void>;

/**
 * Runs the service until SIGTERM or SIGINT; resolves when all that was in progress is done, or its time is up.
 *
 * @throws What `beside` rejects with, when the service has stopped.
 */
export async function serve(config: Config, beside?: Beside): Promise<void> {
  if (cluster.isWorker) return serveAsWorker(config);
  refuseExposure(config);
  return config.webConcurrency > 1 ? serveTogether(config) : serveAlone(config, beside);
}

async function serveAlone(config: Config, beside: Beside = () => new Promise(() => undefined)): Promise<void> {
  const observers: Observe[] = [createLog(config.logLevel)];
  const observe: Observe = (observation) => {
    for (const observer of observers) observer(observation);
  };
  // Listened to from the start: the servers of our own are not to stay behind when it is broken off.
  const signalled = nextSignal();
  const opened = await openDatabases(config, observe, { settings: settingsOf(config) });
  const service = createService({ config, opened, observe });
  observers.push(service.observe);

  await startDatabases(opened);
  const port = await service.listen();
  announce(port, config, opened, observe);
  const { databases, memory } = opened;
  const { retentionSeconds, packAfterSeconds } = config;
  const now = () => Date.now() / 1000;
  const stopping = new AbortController();
  const maintenance = lookAfter(
    { databases, memory, retentionSeconds, packAfterSeconds, now, observe },
    stopping.signal,
  );

  const done = beside(`http://localhost:${port}`, stopping.signal).then(() => 'done');
  const signal = await Promise.race([signalled, done]).catch(() => 'failed');
  stopping.abort();
  await service.stop(signal, maintenance);
  if (signal === 'failed') await done;
}

/** @throws ConfigError for a service that would be open to the world though nobody said so. */
function refuseExposure({ host, tokens, isOpen }: Config): void {
  if (tokens.length > 0 || isOpen || /^(localhost|127(\.\d+){3}|::1)$/i.test(host)) return;
  throw new ConfigError([
    `TOKENS: is not set, and m2pg would listen on ${host === '::' ? 'all interfaces' : host}, open to whoever reaches it. Set ` +
      'TOKENS="write:…,read:…" (openssl rand -hex 32 makes a token), or OPEN=1 if that is meant, or HOST=127.0.0.1.',
  ]);
}
