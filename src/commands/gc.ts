import type { Config } from '../config.ts';
import { createLog } from '../log.ts';
import { openDatabases } from './databases.ts';
import { lookAfter } from './look-after.ts';

/** Maintains the databases, as a process of its own, until SIGTERM or SIGINT. The service does so too: one is elected. */
export async function collectGarbage(config: Config): Promise<void> {
  const observe = createLog(config.logLevel);
  const { databases, memory, close } = await openDatabases(config, observe, { isGuest: true });
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      observe({ type: 'stopping', signal });
      stopping.abort();
    });
  }
  await Promise.all(databases.map((database) => database.start()));
  const { retentionSeconds, packAfterSeconds } = config;
  const now = () => Date.now() / 1000;
  await lookAfter({ databases, memory, retentionSeconds, packAfterSeconds, now, observe }, stopping.signal);
  await close();
  observe({ type: 'stopped', clean: true });
}
