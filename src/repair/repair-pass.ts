/**
 * Repair: all databases are to hold the same summaries. What one has missed, because it was away, slow or is new, it gets
 * from the others. This alone, and nothing that a process remembers, is what makes copies equal again.
 *
 * 0. Deletions first: what one knows to be deleted, all delete that take writes (`deletions.ts`); what of it the others still
 *    hold is copied from none of them (`coverage.ts`).
 * 1. Look: compare the digests of the databases that can be reached. Usually that is all, a few rows each.
 * 2. What has differed for some seconds, unchanged, is no write on its way: it is due. The newest first.
 * 3. Copy what is missing there, in both directions (`copy-missing.ts`).
 * 4. Where digests differ although nothing is missing, a digest is wrong: it is counted anew.
 *
 * Hours past the retention are left alone: a week that one database has dropped does not come back from another. As for dropping,
 * that is the longest retention of all services, by the clock that is furthest behind. What lies ahead of time is compared as well,
 * however far: some clock may have been.
 */

import { compareClocks } from '../database/clocks.ts';
import { createDeletionMemory, type DeletionMemory } from '../database/deletion-memory.ts';
import { longestInUse } from '../database/notes.ts';
import { type Failure, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Copy, Slice } from './copy.ts';
import { copyMissing } from './copy-missing.ts';
import { createDeletionsReader, type KnownDeletions } from './coverage.ts';
import { syncDeletions } from './deletions.ts';
import { type DifferingSlice, findDifferingSlices } from './differing-slices.ts';
import { createDueSlices, type DueSlice } from './due-slices.ts';
import type { Equality } from './equality.ts';

const hourSeconds = 3_600;
const minuteSeconds = 60;

/** A write settles within it, one way or the other, unless something is wrong. */
const defaultRestMs = 3_000;

/** Neighbours are copied together, so that a long outage does not take a thousand small steps. */
const joinedSecondsMax = 6 * hourSeconds;

export interface RepairOptions {
  readonly copies: readonly Copy[];
  /** What this process has seen of deletions; its own when left out. */
  readonly memory?: DeletionMemory;
  /** Undefined: kept for ever. */
  readonly retentionSeconds: number | undefined;
  /** Unix seconds. */
  readonly now: () => number;
  readonly observe: Observe;
  /** As of a read; undefined: every name. */
  readonly namePattern?: string | undefined;
  /** The hours that it touches. Undefined: all. */
  readonly range?: Slice | undefined;
  readonly isDryRun?: boolean;
  /** How long a difference must have stood, unchanged; some seconds when left out. */
  readonly restMs?: number;
  /** Follows passes over everything, of all names. */
  readonly equality?: Equality;
  /** Ends a pass at the next batch. */
  readonly signal?: AbortSignal | undefined;
}

/** After this a pass ends and the next one looks again: what is new does not wait behind what takes long. */
const passMaxMs = 20_000;

/** What one pass found. */
export interface Pass {
  /** Slices that differ, due or not. */
  readonly differing: number;
  /** Of the slices that were due: how many summaries each database lacked. */
  readonly missing: Readonly<Record<string, number>>;
  /** A database took no copies, or did not delete. */
  readonly hasFailed: boolean;
  /** The begins of the slices that differ and that no repair was tried of. */
  readonly untried: readonly number[];
}

/** Repairs by passes; between them it remembers how long each difference has stood. */
export interface Repair {
  /**
   * Looks once and repairs what is due.
   *
   * @param mayGoOn Asked before each slice.
   * @throws Failure when a database fails in the midst of it; the next pass leaves that one alone for a while.
   */
  pass(mayGoOn?: () => Promise<boolean>): Promise<Pass>;
}

/** A repair that has seen nothing yet: its first pass copies nothing, since nothing has stood for long. */
export function createRepair(options: RepairOptions): Repair {
  const { copies, memory = createDeletionMemory(), equality, observe } = options;
  const isRetrying = !options.isDryRun;
  const dueSlices = createDueSlices({ restMs: options.restMs ?? defaultRestMs, isRetrying });

  const repairJoined = async ({ slice, members }: Joined, among: Among) => {
    const found = await repairSlice(slice, among, options);
    const isCertain = members.every(({ isAtRest }) => isAtRest) && !found.isCovered;
    if (found.missing.size === 0 && isCertain) await recount(slice, among.readable, options);
    if (found.isWhole) equality?.mended(slice);
    if (!found.hasFailed) for (const member of members) dueSlices.tried(member, performance.now());
    return { missing: found.missing, hasFailed: found.hasFailed || found.isLeft };
  };

  const repairAll = async (all: readonly Joined[], among: Among, mayGoOn: () => Promise<boolean>) => {
    const endMs = performance.now() + passMaxMs;
    const missing: Record<string, number> = {};
    let hasFailed = false;
    for (const joined of all) {
      if (options.signal?.aborted || performance.now() > endMs || !(await mayGoOn())) break;
      const found = await repairJoined(joined, among);
      for (const [name, count] of found.missing) missing[name] = (missing[name] ?? 0) + count;
      hasFailed ||= found.hasFailed;
    }
    return { missing, hasFailed };
  };

  return {
    async pass(mayGoOn = async () => true) {
      const reachable = copies.filter((copy) => copy.isReadable());
      const onFailed = (database: string, failure: Failure) => observe({ type: 'repair_failed', database, failure });
      if (!options.isDryRun) await syncDeletions(reachable, { memory, mayGoOn, onFailed });
      const readable = reachable.filter((copy) => copy.isReadable());
      if (readable.length < 2) return { differing: 0, missing: {}, hasFailed: false, untried: [] };
      await equality?.begin(readable);
      const differing = await findDifferingSlices(readable, rangeOf(options));
      equality?.looked(differing);
      observe({ type: 'repair_looked', missing: countMissing(readable, differing), slices: differing.length });
      const due = joinNeighbours(dueSlices.due(differing, performance.now()));
      const found = await repairAll(due, { readable, readDeletions: createDeletionsReader(readable) }, mayGoOn);
      await equality?.end();
      for (const copy of readable) if (copy.isReadable()) copy.noteSuccess();
      return { differing: differing.length, ...found, untried: dueSlices.untried() };
    },
  };
}

/**
 * Whole hours, from the one of the oldest instant that is shown and taken: that belongs to a week that is not dropped yet, so
 * what is copied of it stays.
 */
function rangeOf({ copies, retentionSeconds, now, range }: RepairOptions): Slice {
  const databases = copies.map(({ database }) => database);
  const longest = longestInUse(databases, 'retention_seconds', retentionSeconds);
  const { leastNow } = compareClocks(databases, now());
  const oldestHour = longest === undefined ? 0 : Math.floor((leastNow - longest) / hourSeconds);
  return {
    from: Math.max(oldestHour, Math.floor((range?.from ?? 0) / hourSeconds)) * hourSeconds,
    until: Math.ceil((range?.until ?? Number.POSITIVE_INFINITY) / hourSeconds) * hourSeconds,
  };
}

/** By database: how many summaries it lacks at least. */
function countMissing(copies: readonly Copy[], differing: readonly DifferingSlice[]): Record<string, number> {
  const counts = copies.map(({ database }, index) => {
    const missing = differing.reduce((sum, { counts }) => sum + Math.max(...counts) - (counts[index] ?? 0), 0);
    return [database.name, missing] as const;
  });
  return Object.fromEntries(counts);
}

interface Joined {
  readonly slice: Slice;
  readonly members: readonly DueSlice[];
}

function joinNeighbours(due: readonly DueSlice[]): Joined[] {
  const joined: Joined[] = [];
  for (const slice of due) {
    const last = joined.at(-1);
    const isNeighbour = last?.slice.from === slice.until && last.slice.until - slice.from <= joinedSecondsMax;
    if (last && isNeighbour && widthOf(last.slice) === widthOf(slice)) {
      const whole = { from: slice.from, until: last.slice.until };
      joined[joined.length - 1] = { slice: whole, members: [...last.members, slice] };
    } else {
      joined.push({ slice, members: [slice] });
    }
  }
  return joined;
}

/** Of the groups that are compared: hours, or minutes of the hours that are still open. */
function widthOf({ from, until }: Slice): number {
  return from % hourSeconds === 0 && until % hourSeconds === 0 ? hourSeconds : minuteSeconds;
}

interface Among {
  readonly readable: readonly Copy[];
  readonly readDeletions: () => Promise<KnownDeletions>;
}

async function repairSlice(slice: Slice, { readable, readDeletions }: Among, options: RepairOptions) {
  const { namePattern, isDryRun = false, observe, signal } = options;
  let hasFailed = false;
  const copied = await copyMissing(slice, widthOf(slice), {
    copies: readable,
    readDeletions,
    namePattern,
    isDryRun,
    signal,
    onCopied: (database, summaries) => observe({ type: 'repaired', database, summaries, ...slice }),
    onFailed(database, failure) {
      hasFailed = true;
      observe({ type: 'repair_failed', database, failure });
    },
  });
  return { ...copied, hasFailed };
}

/** Whole hours only: what is counted anew counts by the hour. */
async function recount(slice: Slice, copies: readonly Copy[], options: RepairOptions): Promise<void> {
  const { observe, isDryRun, namePattern } = options;
  if (isDryRun || namePattern !== undefined || widthOf(slice) !== hourSeconds) return;
  const text = 'select recount(to_timestamp($1::float8), to_timestamp($2::float8))';
  const work = copies
    .filter((copy) => copy.isWritable())
    .map(async ({ database }) => {
      const { name } = database;
      try {
        await database.query('write', { text, values: [slice.from, slice.until] });
        observe({ type: 'recounted', database: name, ...slice });
      } catch (error) {
        observe({ type: 'repair_failed', database: name, failure: toFailure(error) });
      }
    });
  await Promise.all(work);
}
