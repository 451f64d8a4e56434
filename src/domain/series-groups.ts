import { type StatisticName, type Statistics, statisticNames } from './summary.ts';

/**
 * The merged statistics of one series, in columns: entry i of every column belongs to the i-th bucket that holds data.
 * Columns of numbers, because a large answer has millions of them: they take a tenth of the memory of objects.
 */
export interface SeriesGroups {
  readonly name: string;
  /** Starts of the buckets, ascending, in Unix seconds. */
  readonly buckets: Float64Array;
  /** The earliest bucket of the summaries in each, in Unix seconds. */
  readonly earliest: Float64Array;
  /** The latest bucket of the summaries in each, in Unix seconds. */
  readonly latest: Float64Array;
  /** The digest of the ids in each: how many, and their order-free hash. */
  readonly counts: Float64Array;
  readonly hashes: BigInt64Array;
  readonly statistics: Readonly<Record<StatisticName, Float64Array>>;
}

/** Columns of so many zeros, to be filled in. */
export function createSeriesGroups(name: string, length: number): SeriesGroups {
  const column = () => new Float64Array(length);
  const statistics = Object.fromEntries(statisticNames.map((statistic) => [statistic, column()]));
  return {
    name,
    buckets: column(),
    earliest: column(),
    latest: column(),
    counts: column(),
    hashes: new BigInt64Array(length),
    statistics: statistics as Record<StatisticName, Float64Array>,
  };
}

/** Copies one group, digest and all, into another series of columns. */
export function copyGroup(from: SeriesGroups, fromIndex: number, to: SeriesGroups, toIndex: number): void {
  for (const column of ['buckets', 'earliest', 'latest', 'counts'] as const) {
    to[column][toIndex] = from[column][fromIndex] ?? Number.NaN;
  }
  to.hashes[toIndex] = from.hashes[fromIndex] ?? 0n;
  for (const statistic of statisticNames) {
    to.statistics[statistic][toIndex] = from.statistics[statistic][fromIndex] ?? Number.NaN;
  }
}

/** Replaces the statistics of one group. */
export function setStatistics(series: SeriesGroups, index: number, statistics: Statistics): void {
  for (const statistic of statisticNames) series.statistics[statistic][index] = statistics[statistic];
}
