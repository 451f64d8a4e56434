import { mergeSummaries } from './merge-summaries.ts';
import type { Statistics, Summary } from './summary.ts';

/** The merged statistics of one bucket of a read. */
export interface Point extends Statistics {
  /** Start of the bucket, Unix seconds. */
  readonly bucket: number;
}

/** One metric name and its points, buckets ascending; only buckets that hold data. */
export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

/**
 * Groups summaries by name and bucket of the wanted resolution, and merges each group.
 *
 * @param summaries Every id once, in any order.
 * @param startOf Gives the start of an instant's bucket, as `bucketStart` returns it.
 * @returns Names ascending.
 */
export function groupSummaries(summaries: readonly Summary[], startOf: (instant: number) => number): Series[] {
  const names = Map.groupBy(summaries, ({ name }) => name);
  return [...names]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, ofName]) => ({ name, points: mergeBuckets(ofName, startOf) }));
}

function mergeBuckets(summaries: readonly Summary[], startOf: (instant: number) => number): Point[] {
  const buckets = Map.groupBy(summaries, ({ bucket }) => startOf(bucket));
  return [...buckets]
    .toSorted(([a], [b]) => a - b)
    .map(([bucket, ofBucket]) => ({ bucket, ...mergeSummaries(ofBucket) }));
}

/** Puts points of several series, in any order, together by name. Names and buckets ascending. */
export function toSeries(points: readonly (Point & { readonly name: string })[]): Series[] {
  const names = Map.groupBy(points, ({ name }) => name);
  return [...names]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, ofName]) => ({ name, points: ofName.toSorted((a, b) => a.bucket - b.bucket) }));
}
