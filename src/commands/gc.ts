import type { Config } from '../config.ts';
import { createLog } from '../log.ts';
import { openDatabases, settingsOf } from './databases.ts';
import { dropWeeks } from './drop-weeks.ts';
import { lookAfter } from './look-after.ts';
import { parseOptions, UsageError } from './parse-options.ts';

/** What `--help` prints. */
export const gcHelp = `usage: m2pg gc [--drop [--dry-run]]

Maintains and repairs the databases of DATABASE_URLS until SIGTERM or SIGINT. The service does so by itself; this gives the work
a process of its own, and of several that do it one is elected.

  --drop     drop all weeks past RETENTION now, however many, and end. Maintenance by itself drops two weeks at most, and none
             where the end of the retention has moved by more than two weeks since the last pass: that is what a wrong clock
             looks like. It is needed when RETENTION is set for the first time or made shorter, or when m2pg did not run for
             long; the log and /-/status tell how many weeks wait for it
  --dry-run  with --drop: only print what would be dropped

While clocks of this machine and the databases differ by more than five minutes, nothing is dropped. With --drop the exit code is
0 when all databases were reached and nothing is left to be dropped, else 1.
`;

/** Maintains the databases, as `gcHelp` says. */
export async function collectGarbage(config: Config, args: readonly string[]): Promise<void> {
  const flag = { type: 'boolean', default: false } as const;
  const { values, positionals } = parseOptions(args, { drop: flag, 'dry-run': flag }, gcHelp);
  if (positionals.length > 0) throw new UsageError([`unexpected argument ${positionals[0]}`, gcHelp]);
  if (values['dry-run'] && !values.drop) throw new UsageError(['--dry-run goes with --drop', gcHelp]);
  return values.drop ? dropWeeks(config, values['dry-run']) : maintainUntilSignal(config);
}

async function maintainUntilSignal(config: Config): Promise<void> {
  const observe = createLog(config.logLevel);
  const { retention_seconds, pack_after_seconds } = settingsOf(config);
  const settings = { retention_seconds, pack_after_seconds };
  const { databases, memory, close } = await openDatabases(config, observe, { isGuest: true, settings });
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
