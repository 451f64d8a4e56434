import { setTimeout as sleep } from 'node:timers/promises';
import { toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Database } from './database.ts';

/** A tenth of a second of work with a summary a minute, so that no writer notices. */
const hoursMax = 1_000;

/** What comes later than this makes its hour dirty, which is right too but is merged twice. */
const lateness = '5 minutes';

const step = `select roll_up(date_bin('1 hour', now() - interval '${lateness}', 'epoch'), ${hoursMax}) as done`;

/** A few milliseconds; each commit of a write leaves one. */
const digestRowsMax = 10_000;

const mergeDigests = `select merge_digests(${digestRowsMax}) as done`;

export interface RollUpOptions {
  readonly databases: readonly Database[];
  readonly observe: Observe;
}

/**
 * Brings the digests and roll-ups of every database up to date, in steps with as long a rest after each: half of one processor of
 * the server at most. A failure of one database is observed and keeps none of the others from it.
 */
export async function rollUpOnce({ databases, observe }: RollUpOptions, signal?: AbortSignal): Promise<void> {
  const work = databases.map(async (database) => {
    let steps = 0;
    try {
      for (let merged = digestRowsMax; merged === digestRowsMax && !signal?.aborted; ) {
        merged = (await database.query('maintain', { text: mergeDigests })).rows[0].done;
      }
      while (!signal?.aborted) {
        const begun = performance.now();
        const { rows } = await database.query('maintain', { text: step });
        if (rows[0].done === 0) break;
        steps += 1;
        await sleep(performance.now() - begun, undefined, signal && { signal }).catch(() => undefined);
      }
      if (steps > 0) observe({ type: 'rolled_up', database: database.name, steps });
    } catch (error) {
      observe({ type: 'maintenance_failed', database: database.name, failure: toFailure(error) });
    }
  });
  await Promise.all(work);
}
