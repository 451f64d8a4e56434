import { setTimeout as sleep } from 'node:timers/promises';
import { toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Database } from './database.ts';
import { type PackOptions, packOnce } from './pack.ts';
import { rollUpOnce } from './roll-up.ts';

/** A partition is ready long before its week begins, so that no write has to make it. */
const weeksAhead = 2;

/** A week is the unit of partitions; once an hour is early enough, and soon after a database is back. */
const partitionsEveryMs = 3_600_000;

/** A read takes from summaries what is not rolled up yet: the fewer the better. With nothing to do it costs three look-ups. */
const rollUpsEveryMs = 60_000;

/** A week a run at most: years of them are packed within days, and nobody notices. */
const packEveryMs = 3_600_000;

/** Of the weeks that were dropped. Nobody reads them any more: what an interruption leaves behind is only room. */
const dropTraces = `
  with week as (select date_trunc('week', to_timestamp($1::float8), 'UTC') as start),
    packed as (delete from packed_summaries using week where latest < week.start),
    counted as (delete from digests using week where slice < week.start),
    hourly as (delete from hourly_rollups using week where hourly_rollups.start < week.start)
  delete from daily_rollups using week where daily_rollups.start < week.start`;

export interface MaintainOptions {
  readonly databases: readonly Database[];
  /** Undefined: kept for ever. */
  readonly retentionSeconds: number | undefined;
  /** Unix seconds. */
  readonly now: () => number;
  readonly observe: Observe;
}

/** Maintains every database once. A failure of one is observed and keeps none of the others from it. */
export async function maintainOnce({ databases, retentionSeconds, now, observe }: MaintainOptions): Promise<void> {
  // No instant is before null: nothing is dropped.
  const oldest = retentionSeconds === undefined ? null : now() - retentionSeconds;
  const text = 'select * from maintain_summaries(to_timestamp($1::float8), $2)';
  const work = databases.map(async (database) => {
    const { name } = database;
    try {
      const { rows } = await database.query('maintain', { text, values: [oldest, weeksAhead] });
      const { elected, created, dropped } = rows[0];
      if (dropped.length > 0) await database.query('maintain', { text: dropTraces, values: [oldest] });
      await database.query('maintain', { text: 'select recount_dropped_weeks()' });
      for (const monday of created) observe({ type: 'partition_created', database: name, monday });
      for (const partition of dropped) observe({ type: 'partition_dropped', database: name, partition });
      observe({ type: 'maintenance_done', database: name, elected });
    } catch (error) {
      observe({ type: 'maintenance_failed', database: name, failure: toFailure(error) });
    }
  });
  await Promise.all(work);
}

/** Maintains every database now and again, until the signal. Several processes may: one is elected each time. */
export async function maintainForever(options: MaintainOptions & PackOptions, signal: AbortSignal): Promise<void> {
  const repeat = async (work: () => Promise<void>, everyMs: number) => {
    while (!signal.aborted) {
      await work();
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  };
  await Promise.all([
    repeat(() => maintainOnce(options), partitionsEveryMs),
    repeat(() => rollUpOnce(options, signal), rollUpsEveryMs),
    repeat(() => packOnce(options, signal), packEveryMs),
  ]);
}
