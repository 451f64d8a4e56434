import { setTimeout as sleep } from 'node:timers/promises';
import { toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { compareClocks } from './clocks.ts';
import type { Database } from './database.ts';
import { longestInUse } from './notes.ts';
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

const daySeconds = 86_400;

/**
 * How far the end of the retention may have moved since the last pass, which may be of a process that has ended: by two weeks that
 * RETENTION was made shorter, and the time since that pass.
 */
const firstAdvanceSeconds = 15 * daySeconds;

/** And in one process beyond the time that has passed by its monotonic clock, which may stand still while a laptop sleeps. */
const advanceSlackSeconds = 3 * daySeconds;

const maintainWeeks = `
  select elected, created, dropped, held_back as "heldBack", date_part('epoch', cleared_to) as "clearedTo"
  from maintain_weeks(to_timestamp($1::float8), $2, to_timestamp($3::float8), make_interval(secs => $4))`;

/** Of the weeks that were dropped. Nobody reads them any more: what an interruption leaves behind is only room. */
const dropTraces = `
  with cleared as (select to_timestamp($1::float8) as end),
    packed as (delete from packed_summaries using cleared where latest < cleared.end),
    counted as (delete from digests using cleared where slice < cleared.end),
    hourly as (delete from hourly_rollups using cleared where hourly_rollups.start < cleared.end)
  delete from daily_rollups using cleared where daily_rollups.start < cleared.end`;

export interface MaintainOptions {
  readonly databases: readonly Database[];
  /** Undefined: kept for ever. */
  readonly retentionSeconds: number | undefined;
  /** Unix seconds. */
  readonly now: () => number;
  readonly observe: Observe;
}

/** What a process remembers from one pass to the next. */
export interface MaintainMemory {
  /** By database, when its last pass ended, by `performance.now()`. */
  readonly passedAtMs: Map<string, number>;
  /** By database, how many weeks were said to be held back. */
  readonly toldHeldBack: Map<string, number>;
  /** The retention of others that was told. */
  toldRetention: number | undefined;
}

/** Remembers nothing: a process that has just begun. */
export function createMaintainMemory(): MaintainMemory {
  return { passedAtMs: new Map(), toldHeldBack: new Map(), toldRetention: Number.NaN };
}

/** What one database is to do. Times in Unix seconds; `oldest` null: nothing is dropped; `advanceSeconds` null: an operator asks. */
interface Weeks {
  readonly now: number;
  readonly oldest: number | null;
  readonly advanceSeconds: number | null;
}

/**
 * Maintains every database once, unless the clocks are apart. A failure of one database is observed and keeps none of the others
 * from it.
 */
export async function maintainOnce(options: MaintainOptions, memory = createMaintainMemory()): Promise<void> {
  const { databases, retentionSeconds, now, observe } = options;
  const { state, leastNow } = compareClocks(databases, now());
  if (state === 'apart') return;
  const longest = longestInUse(databases, 'retention_seconds', retentionSeconds);
  tellRetention(longest, options, memory);
  const work = databases.map(async (database) => {
    const { name } = database;
    // What others promise to keep is not known of a database whose notes were never read.
    const isKept = longest === undefined || database.notes() === undefined;
    try {
      const oldest = isKept ? null : leastNow - longest;
      const advanceSeconds = advanceAllowed(memory.passedAtMs.get(name));
      const done = await maintain(database, { now: leastNow, oldest, advanceSeconds }, observe);
      if (done.elected) tellHeldBack(name, done.heldBack, options, memory);
      memory.passedAtMs.set(name, performance.now());
    } catch (error) {
      observe({ type: 'maintenance_failed', database: name, failure: toFailure(error) });
    }
  });
  await Promise.all(work);
}

/** Does what `maintain_weeks` says, and clears the traces of what was dropped. */
export async function maintain(database: Database, { now, oldest, advanceSeconds }: Weeks, observe: Observe) {
  const { name } = database;
  const values = [now, weeksAhead, oldest, advanceSeconds];
  const { rows } = await database.query('maintain', { text: maintainWeeks, values });
  const { elected, created, dropped, heldBack, clearedTo } = rows[0] as {
    readonly elected: boolean;
    readonly created: readonly string[];
    readonly dropped: readonly string[];
    readonly heldBack: readonly string[];
    readonly clearedTo: number | null;
  };
  if (clearedTo !== null) await database.query('maintain', { text: dropTraces, values: [clearedTo] });
  await database.query('maintain', { text: 'select recount_dropped_weeks()' });
  for (const monday of created) observe({ type: 'partition_created', database: name, monday });
  for (const monday of dropped) observe({ type: 'partition_dropped', database: name, monday });
  observe({ type: 'maintenance_done', database: name, elected });
  return { elected, dropped, heldBack };
}

function advanceAllowed(passedAtMs: number | undefined): number {
  if (passedAtMs === undefined) return firstAdvanceSeconds;
  return (performance.now() - passedAtMs) / 1000 + advanceSlackSeconds;
}

function tellHeldBack(
  database: string,
  heldBack: readonly string[],
  { observe }: MaintainOptions,
  { toldHeldBack }: MaintainMemory,
): void {
  if (heldBack.length === (toldHeldBack.get(database) ?? 0)) return;
  toldHeldBack.set(database, heldBack.length);
  const [first, last] = [heldBack[0], heldBack.at(-1)];
  observe({ type: 'weeks_held_back', database, weeks: heldBack.length, first, last });
}

function tellRetention(
  longest: number | undefined,
  { retentionSeconds, observe }: MaintainOptions,
  memory: MaintainMemory,
) {
  if (retentionSeconds === undefined || Object.is(longest, memory.toldRetention)) return;
  memory.toldRetention = longest;
  if (longest === retentionSeconds) return;
  const days = longest === undefined ? null : longest / daySeconds;
  observe({ type: 'retention_extended', days, ownDays: retentionSeconds / daySeconds });
}

/** Maintains every database now and again, until the signal. Several processes may: one is elected each time. */
export async function maintainForever(options: MaintainOptions & PackOptions, signal: AbortSignal): Promise<void> {
  const memory = createMaintainMemory();
  const repeat = async (work: () => Promise<void>, everyMs: number) => {
    while (!signal.aborted) {
      await work();
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  };
  await Promise.all([
    repeat(() => maintainOnce(options, memory), partitionsEveryMs),
    repeat(() => rollUpOnce(options, signal), rollUpsEveryMs),
    repeat(() => packOnce(options, signal), packEveryMs),
  ]);
}
