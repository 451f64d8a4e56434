import { Failure } from '../domain/failure.ts';
import type { NamedStore } from './ask.ts';

/**
 * The units of series by the first answers that know them: a database that is behind knows less than the others, and one that is
 * slow is waited for only while the units of some series are unknown.
 *
 * @throws Failure `no_database` when none answers.
 */
export function unionUnits(
  names: readonly string[],
  databases: readonly NamedStore[],
): Promise<ReadonlyMap<string, string>> {
  return new Promise((resolve, reject) => {
    const found = new Map<string, string>();
    const asked = databases.map(async ({ store }) => {
      for (const [name, units] of await store.units(names)) if (!found.has(name)) found.set(name, units);
      if (names.every((name) => found.has(name))) resolve(found);
    });
    Promise.any(asked).catch((cause) => reject(new Failure('no_database', 'no database answered', { cause })));
    void Promise.allSettled(asked).then(() => resolve(found));
  });
}
