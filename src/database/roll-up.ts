import { setTimeout as sleep } from 'node:timers/promises';
import { toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { mergeSketches } from '../domain/sketch.ts';
import { byteaArray, int4Array, textArray, timestamptzArray } from './binary-array.ts';
import { compareClocks } from './clocks.ts';
import type { Database } from './database.ts';

/** What a step is to take, so that no writer notices. */
const stepMs = 100;

/** Of a step. An hour takes 0.1 ms with a summary a minute, and 20 with three a second: the step before tells. */
const [hoursFirst, hoursMax] = [4, 1_000];

/** As long as a step took, times this. The databases may share a machine with each other and with this process. */
const restFactor = 2;

/** What comes later than this makes its hour dirty, which is right too but is merged twice. */
const latenessSeconds = 300;

const hourSeconds = 3_600;

const step = 'select roll_up(to_timestamp($2::float8), $1) as done';

const reopen = 'select reopen_hours(to_timestamp($1::float8))';

/** A few milliseconds; each commit of a write leaves one. */
const digestRowsMax = 10_000;

const mergeDigests = `select merge_digests(${digestRowsMax}) as done`;

/** Some megabytes of sketches at most. */
const looseMax = 200;

const rollUpTables = ['hourly_rollups', 'daily_rollups'] as const;

export interface RollUpOptions {
  readonly databases: readonly Database[];
  /** Unix seconds; the time of the system when left out. */
  readonly now?: () => number;
  readonly observe: Observe;
}

/**
 * Brings the digests and roll-ups of every database up to date, in short steps with twice as long a rest after each: a third of
 * one processor of the server at most. A failure of one database is observed and keeps none of the others from it.
 *
 * Which hours are over the clock decides that is furthest behind. While the clocks are apart, no hour is taken for over.
 */
export async function rollUpOnce(options: RollUpOptions, signal?: AbortSignal): Promise<void> {
  const { databases, now = () => Date.now() / 1000, observe } = options;
  const { state, leastNow } = compareClocks(databases, now());
  const closedTo = Math.floor((leastNow - latenessSeconds) / hourSeconds) * hourSeconds;
  const until = state === 'apart' ? Number.NEGATIVE_INFINITY : closedTo;
  const work = databases.map(async (database) => {
    let [steps, hours] = [0, hoursFirst];
    try {
      if (state !== 'apart') await database.query('maintain', { text: reopen, values: [until] });
      for (let merged = digestRowsMax; merged === digestRowsMax && !signal?.aborted; ) {
        merged = (await database.query('maintain', { text: mergeDigests })).rows[0].done;
      }
      while (!signal?.aborted) {
        const begun = performance.now();
        const { rows } = await database.query('maintain', { text: step, values: [hours, until] });
        hours = Math.ceil(Math.min(hoursMax, 4 * hours, (hours * stepMs) / (performance.now() - begun)));
        await mergeLoose(database);
        if (rows[0].done === 0) break;
        steps += 1;
        await sleep(restFactor * (performance.now() - begun), undefined, signal && { signal }).catch(() => undefined);
      }
      if (steps > 0) observe({ type: 'rolled_up', database: database.name, steps });
    } catch (error) {
      observe({ type: 'maintenance_failed', database: database.name, failure: toFailure(error) });
    }
  });
  await Promise.all(work);
}

/**
 * Merges the sketches that a step has put one after another, which says the same in a tenth of the room. Whatever was rolled
 * up anew in between stays loose and is merged next time.
 */
export async function mergeLoose(database: Database): Promise<void> {
  for (const table of rollUpTables) {
    for (;;) {
      const text = `
        select series_id as series, date_part('epoch', start) as start, md5(sketch) as was, sketch
        from ${table} where is_loose limit ${looseMax}`;
      const { rows } = await database.query('maintain', { text });
      if (rows.length === 0) break;
      const values = [
        int4Array(rows.map(({ series }) => series)),
        timestamptzArray(rows.map(({ start }) => start)),
        textArray(rows.map(({ was }) => was)),
        byteaArray(rows.map(({ sketch }) => mergeSketches(sketch))),
      ];
      await database.query('maintain', { text: tighten(table), values });
    }
  }
}

function tighten(table: (typeof rollUpTables)[number]): string {
  return `
    update ${table} set sketch = given.sketch, is_loose = false
    from unnest($1::int4[], $2::timestamptz[], $3::text[], $4::bytea[]) as given (series_id, start, was, sketch)
    where ${table}.series_id = given.series_id and ${table}.start = given.start and md5(${table}.sketch) = given.was`;
}
