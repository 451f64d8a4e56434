import { setTimeout as sleep } from 'node:timers/promises';
import { toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { compareClocks } from './clocks.ts';
import type { Database } from './database.ts';
import { longestInUse } from './notes.ts';

/** A quarter of a second of work; whole days of a summary a minute. */
const summariesMax = 50_400;

/** Of a series, on average: fewer would hardly gain room. Also how many late ones must gather before they are packed too. */
const seriesMin = 20;

/** Late summaries rarely come alone: who sent one is likely to be at it still. */
const quietSeconds = 86_400;

/** The lock that ends the work waits for reads of the week, and lets none begin meanwhile: for 0.2 s, then again later. */
const triesMax = 10;
const triesEveryMs = 3_000;

/** What a clock noted that was ahead would keep a week from being packed for as long as it was ahead. */
const mendChanges = 'update summary_weeks set changed_at = now() where changed_at > now()';

const step = 'select * from pack_summaries(to_timestamp($1::float8), to_timestamp($2::float8), $3, $4)';

export interface PackOptions {
  readonly databases: readonly Database[];
  /** How long ago a week must have ended. Undefined: none is packed. */
  readonly packAfterSeconds: number | undefined;
  /** Unix seconds. */
  readonly now: () => number;
  readonly observe: Observe;
}

/**
 * Packs one week of every database, the oldest that is due, or goes on with the one that was begun. Rests after each step
 * three times as long as it took: a quarter of one processor of the server at most. What is interrupted goes on at the
 * next run. A failure of one database is observed and keeps none of the others from it. Of services that wait for different
 * times, the longest counts; while the clocks are apart, nothing is packed.
 */
export async function packOnce(options: PackOptions, signal?: AbortSignal): Promise<void> {
  const { databases, now, observe } = options;
  const packAfterSeconds = longestInUse(databases, 'pack_after_seconds', options.packAfterSeconds);
  if (packAfterSeconds === undefined || compareClocks(databases, now()).state === 'apart') return;
  const work = databases.map(async (database) => {
    try {
      await packWeek(database, options, packAfterSeconds, signal);
    } catch (error) {
      observe({ type: 'maintenance_failed', database: database.name, failure: toFailure(error) });
    }
  });
  await Promise.all(work);
}

async function packWeek(
  database: Database,
  { databases, now, observe }: PackOptions,
  packAfterSeconds: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await database.query('maintain', { text: mendChanges });
  const rest = (ms: number) => sleep(ms, undefined, signal && { signal }).catch(() => undefined);
  for (let tries = 0; tries < triesMax && !signal?.aborted; ) {
    const begun = performance.now();
    const { leastNow } = compareClocks(databases, now());
    const values = [leastNow - packAfterSeconds, leastNow - quietSeconds, summariesMax, seriesMin];
    const { rows } = await database.query('maintain', { text: step, values });
    const [{ step: done, week }] = rows;
    if (done === 'packed') observe({ type: 'week_packed', database: database.name, monday: week });
    if (!['begun', 'copied', 'locked'].includes(done)) return;
    if (done === 'locked') tries += 1;
    await rest(done === 'locked' ? triesEveryMs : 3 * (performance.now() - begun));
  }
}
