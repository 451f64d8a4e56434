/**
 * Copies what some databases hold of a slice of time to those that lack it, in both directions.
 *
 * 1. Lay the fingerprints of every series and slice side by side. Those that differ, or that a database lacks, are read
 *    on, a bounded number of them.
 * 2. Read the summaries of those from every database, some thousand at a time. The union by id, but for what is deleted, is
 *    what all are to hold.
 * 3. Write to each database what it lacks of it, as long as it takes writes.
 * 4. Rest twice as long as that took: repair takes at most a third of the time of any database.
 *
 * Summaries never change, so that a copy can be made twice and at any time: nothing is locked.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Failure, toFailure } from '../domain/failure.ts';
import type { Span } from '../domain/store.ts';
import type { ArrivedSummary } from '../store/postgres-store.ts';
import type { Copy, Slice } from './copy.ts';
import { coverage, type KnownDeletions } from './coverage.ts';
import { fingerprintsOf, isSameEverywhere, spanOf } from './fingerprints.ts';

/** Some ten megabytes of them. What there is beyond is found at the next look. */
const groupsMax = 50_000;

/** Summaries read from each database at a time, and written in one transaction: some ten milliseconds. */
const rowsAtOnce = 2_000;

/** Whoever writes meanwhile is to notice little of it. */
const restFactor = 2;

/** Part of one series whose summaries are to be laid side by side; at most so many in each database. */
interface Group extends Span {
  readonly count: number;
}

export interface CopyMissingOptions {
  readonly copies: readonly Copy[];
  readonly namePattern: string | undefined;
  /** What is covered by a deletion is not copied. */
  readonly readDeletions: () => Promise<KnownDeletions>;
  readonly isDryRun: boolean;
  readonly signal: AbortSignal | undefined;
  /** Is told of each batch that a database lacked and now has. */
  readonly onCopied: (database: string, summaries: number) => void;
  /** Is told that a database takes no copies; it gets none any more. */
  readonly onFailed: (database: string, failure: Failure) => void;
}

/** What `copyMissing` has found. */
export interface CopiedSlice {
  readonly missing: ReadonlyMap<string, number>;
  readonly isCovered: boolean;
  readonly isLeft: boolean;
  /** Everything was compared, and every database has what it lacked. */
  readonly isWhole: boolean;
}

/**
 * Makes a slice the same in all databases.
 *
 * @param widthSeconds Of the groups that are compared; the slice is a multiple of it.
 * @returns How many summaries each database lacked; those that lacked none are left out. Whether any held what is deleted,
 *   and whether one takes no writes that held such or lacked something.
 * @throws Failure when a database cannot be read.
 */
export async function copyMissing(
  slice: Slice,
  widthSeconds: number,
  options: CopyMissingOptions,
): Promise<CopiedSlice> {
  const groups = await findDiffering(slice, widthSeconds, options);
  const failed = new Set<string>();
  let isWhole = groups.length < groupsMax && !options.isDryRun;
  const total = new Map<string, number>();
  let isCovered = false;
  let isLeft = false;
  for (const batch of batchesOf(groups)) {
    isWhole &&= !options.signal?.aborted;
    if (options.signal?.aborted) break;
    const begun = performance.now();
    const found = await findMissing(batch, options);
    isCovered ||= found.some(({ covered }) => covered.size > 0);
    isLeft ||= found.some(({ copy, missing, covered }) => missing.length + covered.size > 0 && !copy.isWritable());
    for (const { copy, missing } of found.filter(({ missing }) => missing.length > 0)) {
      const { name } = copy.database;
      total.set(name, (total.get(name) ?? 0) + missing.length);
    }
    const able = found.filter(({ copy }) => !options.isDryRun && copy.isWritable() && !failed.has(copy.database.name));
    const areMended = await Promise.all(able.map((lack) => mend(lack, failed, options)));
    isWhole &&= areMended.every(Boolean) && !found.some(({ isWaiting }) => isWaiting);
    await sleep(restFactor * (performance.now() - begun));
  }
  return { missing: total, isCovered, isLeft, isWhole: isWhole && !isLeft };
}

async function findDiffering(slice: Slice, widthSeconds: number, options: CopyMissingOptions): Promise<Group[]> {
  const { copies, namePattern } = options;
  const groups: Group[] = [];
  for await (const row of fingerprintsOf(copies, { ...slice, namePattern, widthSeconds, isOfContent: false })) {
    if (isSameEverywhere(row)) continue;
    const known = row.filter((fingerprint) => fingerprint !== undefined);
    groups.push({ ...spanOf(known), count: Math.max(...known.map(({ count }) => count)) });
    if (groups.length === groupsMax) break;
  }
  return groups;
}

/** Small groups together, large ones in parts of equal time. */
function* batchesOf(groups: readonly Group[]): Generator<Span[]> {
  let batch: Span[] = [];
  let rows = 0;
  for (const group of groups) {
    if (group.count > rowsAtOnce) {
      for (const part of partsOf(group)) yield [part];
      continue;
    }
    if (rows + group.count > rowsAtOnce) {
      yield batch;
      [batch, rows] = [[], 0];
    }
    batch.push(group);
    rows += group.count;
  }
  if (batch.length > 0) yield batch;
}

/** Whole microseconds, as PostgreSQL keeps them, so that nothing falls between two parts. */
function* partsOf({ name, from, to, count }: Group): Generator<Span> {
  const [first, last] = [Math.round(from * 1e6), Math.round(to * 1e6)];
  const width = Math.max(1, Math.ceil((last - first + 1) / Math.ceil(count / rowsAtOnce)));
  for (let start = first; start <= last; start += width) {
    yield { name, from: start / 1e6, to: Math.min(last, start + width - 1) / 1e6 };
  }
}

interface Lack {
  readonly copy: Copy;
  readonly missing: readonly ArrivedSummary[];
  /** The deletions that cover something it holds. */
  readonly covered: ReadonlySet<string>;
  /** Those that cover nothing of what it lacks. */
  readonly settled: readonly string[];
  /** It is to get something that it cannot be given yet. */
  readonly isWaiting: boolean;
}

async function findMissing(spans: readonly Span[], { copies, readDeletions }: CopyMissingOptions): Promise<Lack[]> {
  const known = await readDeletions();
  const held = await Promise.all(copies.map(({ store }) => store.selectHeld(spans)));
  const { coverOf, receiptOf, isAwaited, settledIn } = coverage(known, await readDeletions());
  const alive = copies.flatMap((copy, index) =>
    (held[index] ?? []).filter((one) => coverOf(copy, one) === undefined).map((one) => receiptOf(copy, one)),
  );
  // As it was received last.
  const inOrder = alive.toSorted((a, b) => (a.receivedAtMs < b.receivedAtMs ? -1 : 1));
  const union = [...new Map(inOrder.map((one) => [one.summary.id, one])).values()];
  return copies.map((copy, index) => {
    const ids = new Set(held[index]?.map(({ summary }) => summary.id));
    const covered = new Set(held[index]?.flatMap((one) => coverOf(copy, one) ?? []));
    const lacking = union.filter((one) => !ids.has(one.summary.id));
    // What it is about to delete it gets when that is done.
    const missing = lacking.filter((one) => !isAwaited(copy, one));
    const isWaiting = missing.length < lacking.length;
    return { copy, missing, covered, settled: settledIn(copy, missing), isWaiting };
  });
}

/** Gives a database what it lacks. @returns Whether it has all of it now. */
async function mend(
  { copy, missing, settled }: Lack,
  failed: Set<string>,
  options: CopyMissingOptions,
): Promise<boolean> {
  const { name } = copy.database;
  if (missing.length === 0) return true;
  try {
    await copy.store.copy(missing, settled);
    options.onCopied(name, missing.length);
    return true;
  } catch (error) {
    const failure = toFailure(error);
    if (failure.code === 'data_refused') {
      // The others were stored; these are in its quarantine.
      const stored = missing.length - failure.problems.length;
      if (stored > 0) options.onCopied(name, stored);
      return false;
    }
    failed.add(name);
    options.onFailed(name, failure);
    return false;
  }
}
