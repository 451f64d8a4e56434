import type { Config } from '../config.ts';
import { createLog } from '../log.ts';
import { describeDown, describeRefused, openDatabases } from './databases.ts';
import { refuseArguments } from './parse-options.ts';
import { print } from './print.ts';

/** What `--help` prints. */
export const migrateHelp = `usage: m2pg migrate

Brings the schema of all databases of DATABASE_URLS up to date. The service does so by itself when it starts, and for a
database that is away when it comes back; this is for the release phase of a deploy.

The exit code is 0 when every database that was reached is up to date, and one was reached at least, else 1: one that is
down fails no deploy.
`;

/**
 * Migrates, as `migrateHelp` says.
 *
 * @throws Error when a database must not be used by this version at all, or when none was reached.
 */
export async function migrateAll(config: Config, args: readonly string[]): Promise<void> {
  refuseArguments(args, migrateHelp);
  const opened = await openDatabases(config, createLog(config.logLevel), { isGuest: true });
  const { databases, close } = opened;
  await Promise.all(databases.map((database) => database.start()));
  const states = databases.map((database) => database.status());
  const down = describeDown(opened);
  await close();
  const refused = states.filter(({ state }) => state === 'refused');
  if (refused.length > 0) throw new Error(refused.map(describeRefused).join('\n'));
  const ready = states.filter(({ state }) => state === 'up' || state === 'read_only');
  for (const line of down) process.stderr.write(`${line}\n`);
  if (ready.length === 0) throw new Error('nothing was migrated: no database could be reached');
  await print(`${ready.length} of ${states.length} databases are up to date\n`);
}
