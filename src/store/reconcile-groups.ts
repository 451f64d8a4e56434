/**
 * Makes one answer of the groups of several databases, reading single summaries only where the databases differ.
 *
 * 1. Put the groups side by side by name and bucket.
 * 2. Those whose digests are equal hold the same ids: one of them is taken as it is. A database that has nothing of a
 *    group holds the empty set, which the union of the others contains.
 * 3. The others are read summary by summary from every database that has any of them, a bounded number at a time, and
 *    merged with every id counted once.
 *
 * The result equals the slow, obvious read: fetch everything, drop duplicates, group. Its cost is that of the largest
 * single answer plus the differences.
 */
import type { AggregateQuery, Group, Span } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';
import { groupKey, mergeRows } from './merge-rows.ts';

/** Single summaries in memory at a time, counted once a database: some 30 MB. */
const rowsAtOnceMax = 50_000;

/** Reads the summaries of some spans from all of the databases, every id once. */
export type ReadSpans = (spans: readonly Span[]) => Promise<readonly Summary[]>;

/**
 * @param answers The groups of each database that answered.
 * @returns Groups in no particular order.
 */
export async function reconcileGroups(
  answers: readonly (readonly Group[])[],
  query: AggregateQuery,
  readSpans: ReadSpans,
): Promise<Group[]> {
  const { agreed, differing } = compare(answers);
  const merged: Group[] = [];
  for (const chunk of chunksOf(differing)) {
    const summaries = await readSpans(chunk.map(({ span }) => span));
    merged.push(...mergeRows(chunk, summaries, query));
  }
  return [...agreed, ...merged];
}

/** Of each differing group one stands for all: its span is that of all, its count the sum, its statistics nobody's. */
function compare(answers: readonly (readonly Group[])[]): { agreed: Iterable<Group>; differing: readonly Group[] } {
  const agreed = new Map<string, Group>();
  const differing = new Map<string, Group>();
  for (const group of answers.flat()) {
    const key = groupKey(group);
    const known = differing.get(key) ?? agreed.get(key);
    if (known === undefined) agreed.set(key, group);
    else if (differing.has(key) || !isSameSet(known, group)) {
      agreed.delete(key);
      differing.set(key, join(known, group));
    }
  }
  return { agreed: agreed.values(), differing: [...differing.values()] };
}

function isSameSet(a: Group, b: Group): boolean {
  return a.digest.count === b.digest.count && a.digest.hash === b.digest.hash;
}

function join(a: Group, b: Group): Group {
  const span = {
    name: a.name,
    from: Math.min(a.span.from, b.span.from),
    to: Math.max(a.span.to, b.span.to),
  };
  return { ...a, span, digest: { count: a.digest.count + b.digest.count, hash: '' } };
}

function* chunksOf(groups: readonly Group[]): Generator<Group[]> {
  let chunk: Group[] = [];
  let rows = 0;
  for (const group of groups) {
    if (chunk.length > 0 && rows + group.digest.count > rowsAtOnceMax) {
      yield chunk;
      [chunk, rows] = [[], 0];
    }
    chunk.push(group);
    rows += group.digest.count;
  }
  if (chunk.length > 0) yield chunk;
}
