import type { Config } from '../config.ts';
import { createLog } from '../log.ts';
import { openDatabases } from './databases.ts';
import { lookAfter } from './look-after.ts';
import { refuseArguments } from './parse-options.ts';

/** What `--help` prints. */
export const gcHelp = `usage: m2pg gc

Looks after all databases of DATABASE_URLS until SIGTERM or SIGINT: makes partitions ahead, drops what is past RETENTION,
rolls up, packs old weeks and repairs. The service does so too; of several processes one is elected. A database that is
down is tried again until it is back.
`;

/** Maintains, as `gcHelp` says. */
export async function collectGarbage(config: Config, args: readonly string[]): Promise<void> {
  refuseArguments(args, gcHelp);
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
