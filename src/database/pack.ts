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

/**
 * A table that is dropped at once. Where there is no room for it there is none for the pack: a quarter of the week, and as much
 * again of the server's log. What a statement has taken in vain of a new table the server gives back at once; what it has taken
 * of one that stays, it does not. Large weeks are tried with this much: to write more would take longer than it is worth.
 */
const tryRoomBytesMax = 256 * 1_024 * 1_024;
const tryRoom = `
  create temporary table pack_room on commit drop as
  select repeat('x', 1900) as filling -- Four rows fill a page.
  from packing, generate_series(1, least(${tryRoomBytesMax}, pg_total_relation_size(week_partition(monday)) / 2) / 2048)`;

/** What was copied so far is thrown away, unless another process is at it. No read has seen it. */
const throwAway = `
  with thrown as (delete from packing where pg_try_advisory_xact_lock(hashtext('m2pg pack')) returning pack)
  delete from packed_summaries using thrown where packed_summaries.pack = thrown.pack`;

/** The end of a table that holds nothing goes back to the system. */
const giveBackRoom = 'vacuum (truncate) packed_summaries';
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
 * next run. A failure of one database is observed and keeps none of the others from it. Of a disk that was too small the room
 * is given back: a pack that takes the last of it would end the writes. Of services that wait for different times, the longest
 * counts; while the clocks are apart, nothing is packed.
 */
export async function packOnce(options: PackOptions, signal?: AbortSignal): Promise<void> {
  const { databases, now, observe } = options;
  const packAfterSeconds = longestInUse(databases, 'pack_after_seconds', options.packAfterSeconds);
  if (packAfterSeconds === undefined || compareClocks(databases, now()).state === 'apart') return;
  const work = databases.map(async (database) => {
    try {
      await packWeek(database, options, packAfterSeconds, signal);
    } catch (error) {
      const failure = toFailure(error);
      observe({ type: 'maintenance_failed', database: database.name, failure });
      if (failure.code === 'disk_full') await giveUp(database).catch(() => undefined);
    }
  });
  await Promise.all(work);
}

/** @throws Failure `disk_full`. Whatever else is wrong with the table that is tried says nothing about the pack. */
async function checkRoom(database: Database): Promise<void> {
  await database.query('maintain', { text: tryRoom }).catch((error) => {
    if (toFailure(error).code === 'disk_full') throw error;
  });
}

async function giveUp(database: Database): Promise<void> {
  await database.query('maintain', { text: throwAway });
  await database.query('maintain', { text: giveBackRoom });
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
    if (done === 'begun') await checkRoom(database);
    if (done === 'packed') observe({ type: 'week_packed', database: database.name, monday: week });
    if (!['begun', 'copied', 'locked', 'folded'].includes(done)) return;
    if (done === 'locked') tries += 1;
    await rest(done === 'locked' ? triesEveryMs : 3 * (performance.now() - begun));
  }
}
