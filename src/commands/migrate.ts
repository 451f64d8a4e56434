import type { Config } from '../config.ts';
import { createLog } from '../log.ts';
import { describeRefused, openDatabases } from './databases.ts';

/**
 * Brings every database that can be reached up to date. One that is down does not fail a deploy: the service migrates
 * it when it comes back, before its first write.
 *
 * @throws Error when a database must not be used by this version at all.
 */
export async function migrateAll(config: Config): Promise<void> {
  const { databases, close } = await openDatabases(config, createLog(config.logLevel), { isGuest: true });
  await Promise.all(databases.map((database) => database.start()));
  const states = databases.map((database) => database.status());
  await close();
  const refused = states.filter(({ state }) => state === 'refused');
  if (refused.length > 0) throw new Error(refused.map(describeRefused).join('\n'));
  const ready = states.filter(({ state }) => state === 'up' || state === 'read_only');
  process.stdout.write(`${ready.length} of ${states.length} databases are up to date\n`);
}
