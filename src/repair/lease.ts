import { randomUUID } from 'node:crypto';
import type { Copy } from './copy.ts';

/** Longer than a step of repair takes; when its holder is gone, another process goes on after it. */
const leaseSeconds = 15;

/** Elects one of the processes that repair. Two at once would do no harm, only the same work. */
export interface Lease {
  /** Whether it is ours for the next seconds. @throws Failure when the database that decides does not answer. */
  take(): Promise<boolean>;
  release(): Promise<void>;
}

/** One that lies further ahead than a lease is long was noted before the clock of the database was set back: it is over, too. */
const takeIt = `
  update repair_lease set holder = $1, until = now() + make_interval(secs => $2)
  where holder = $1 or until < now() or until > now() + make_interval(secs => $2) returning holder`;

const releaseIt = `update repair_lease set until = '-infinity' where holder = $1`;

/**
 * A lease that lies with the database of the least identity: the same one for every process that sees them all take writes.
 *
 * @param copies Gives those that take writes: the others can lend nothing.
 */
export function createLease(copies: () => readonly Copy[]): Lease {
  const holder = randomUUID();
  const whoDecides = async (): Promise<Copy | undefined> => {
    const identities = await Promise.all(
      copies().map(async (copy) => {
        const { rows } = await copy.database.query('repair', { text: 'select id from database_identity' });
        return { copy, identity: String(rows[0]?.id) };
      }),
    );
    return identities.toSorted((a, b) => (a.identity < b.identity ? -1 : 1))[0]?.copy;
  };
  return {
    async take() {
      const copy = await whoDecides();
      if (copy === undefined) return false;
      const { rows } = await copy.database.query('write', { text: takeIt, values: [holder, leaseSeconds] });
      return rows.length > 0;
    },
    async release() {
      const copy = await whoDecides();
      await copy?.database.query('write', { text: releaseIt, values: [holder] });
    },
  };
}
