/**
 * Makes one series of the copies that several databases hold of it, and says which of its groups must be read summary by
 * summary because the databases differ.
 *
 * 1. Where all copies have the same buckets and digests, one of them is taken as it is: three comparisons of memory.
 * 2. Else the groups are put side by side by bucket. Those whose digests are equal hold the same ids. A database that has
 *    nothing of a group holds the empty set, which the union of the others contains.
 * 3. The others differ: each gets the span and the number of summaries of all copies together, and its statistics are
 *    nobody's until they are merged from the union of the rows, every id counted once.
 *
 * The result equals the slow, obvious read: fetch everything, drop duplicates, group. Its cost is that of the largest
 * single answer plus the differences.
 */
import { copyGroup, createSeriesGroups, type SeriesGroups } from '../domain/series-groups.ts';
import type { GroupOf } from './merge-rows.ts';

/** The series that stands for all copies, and those of its groups that are yet to be merged from their rows. */
export interface Reconciled {
  readonly series: SeriesGroups;
  readonly differing: readonly GroupOf[];
}

/** @param copies The same series from each database that has any of it: at least one. */
export function reconcileGroups(copies: readonly SeriesGroups[]): Reconciled {
  const [first, ...others] = copies;
  if (first === undefined) throw new Error('BUG: a series that no database has');
  if (others.every((other) => isSame(first, other))) return { series: withUnits(first, others), differing: [] };

  const buckets = [...new Set(copies.flatMap((copy) => [...copy.buckets]))].sort((a, b) => a - b);
  const series = createSeriesGroups(first.name, buckets.length, withUnits(first, others).units);
  const placeOf = new Map(buckets.map((bucket, place) => [bucket, place]));
  const differing = new Set<number>();
  for (const copy of copies) {
    copy.buckets.forEach((bucket, index) => {
      const place = placeOf.get(bucket);
      if (place === undefined) throw new Error(`BUG: the bucket ${bucket} has no place`);
      if (series.counts[place] === 0) copyGroup(copy, index, series, place);
      else if (differing.has(place) || !isSameGroup(copy, index, series, place)) {
        differing.add(place);
        widen(series, place, copy, index);
      }
    });
  }
  return { series, differing: [...differing].map((index) => ({ series, index })) };
}

/** A database that was away when they became known has none. */
function withUnits(first: SeriesGroups, others: readonly SeriesGroups[]): SeriesGroups {
  const units = first.units ?? others.find((other) => other.units !== undefined)?.units;
  return units === first.units || units === undefined ? first : { ...first, units };
}

function isSame(a: SeriesGroups, b: SeriesGroups): boolean {
  return isEqual(a.hashes, b.hashes) && isEqual(a.counts, b.counts) && isEqual(a.buckets, b.buckets);
}

function isEqual(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength);
  return bytes(a).equals(bytes(b));
}

function isSameGroup(a: SeriesGroups, indexA: number, b: SeriesGroups, indexB: number): boolean {
  return a.counts[indexA] === b.counts[indexB] && a.hashes[indexA] === b.hashes[indexB];
}

/** Makes the span and the number of rows of a group those of another copy as well. */
function widen(series: SeriesGroups, place: number, copy: SeriesGroups, index: number): void {
  const of = (column: Float64Array, at: number) => column[at] ?? Number.NaN;
  series.earliest[place] = Math.min(of(series.earliest, place), of(copy.earliest, index));
  series.latest[place] = Math.max(of(series.latest, place), of(copy.latest, index));
  series.counts[place] = of(series.counts, place) + of(copy.counts, index);
}
