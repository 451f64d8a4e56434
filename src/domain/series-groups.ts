import { percentilesOf } from './merge-summaries.ts';
import { noSketch, type Sketch } from './sketch.ts';
import { type StatisticName, type Statistics, statisticNames } from './summary.ts';

/**
 * The merged statistics of one series, in columns: entry i of every column belongs to the i-th bucket that holds data.
 * Columns of numbers, because a large answer has millions of them: they take a tenth of the memory of objects.
 */
export interface SeriesGroups {
  readonly name: string;
  readonly units?: string;
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
  /**
   * Those of the summaries in each that carry one, together; left out where none does. `takePercentiles` makes statistics of
   * them: until then median, perc95 and perc99 are those that hold without.
   */
  readonly sketches?: Sketch[];
  /** Those that were asked for, in their order; NaN where they cannot be told. */
  readonly percentiles?: readonly Float64Array[];
}

/** Columns of so many zeros, to be filled in. */
export function createSeriesGroups(name: string, length: number, units?: string): SeriesGroups {
  const column = () => new Float64Array(length);
  const statistics = Object.fromEntries(statisticNames.map((statistic) => [statistic, column()]));
  return {
    name,
    ...(units !== undefined && { units }),
    buckets: column(),
    earliest: column(),
    latest: column(),
    counts: column(),
    hashes: new BigInt64Array(length),
    statistics: statistics as Record<StatisticName, Float64Array>,
    sketches: new Array<Sketch>(length).fill(noSketch),
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
  if (to.sketches) to.sketches[toIndex] = from.sketches?.[fromIndex] ?? noSketch;
}

/** Replaces the statistics of one group. */
export function setStatistics(series: SeriesGroups, index: number, statistics: Statistics): void {
  for (const statistic of statisticNames) series.statistics[statistic][index] = statistics[statistic];
}

/**
 * Takes the percentiles of groups from their sketches, wherever every summary of a group carries one. Those of a single
 * summary are its own, but for what was asked for besides.
 *
 * @param wanted Besides median, perc95 and perc99; between 0 and 100.
 */
export function takePercentiles(series: SeriesGroups, wanted: readonly number[]): SeriesGroups {
  const { counts, statistics, sketches = [] } = series;
  const percentiles = wanted.map(() => new Float64Array(counts.length).fill(Number.NaN));
  sketches.forEach((sketch, index) => {
    const of = (column: Float64Array) => column[index] ?? Number.NaN;
    const percentile = percentilesOf(sketch, of(counts), of(statistics.min), of(statistics.max));
    if (percentile === undefined) return;
    if (of(counts) > 1) {
      statistics.median[index] = percentile(50);
      statistics.perc95[index] = percentile(95);
      statistics.perc99[index] = percentile(99);
    }
    percentiles.forEach((column, place) => {
      column[index] = percentile(wanted[place] ?? Number.NaN);
    });
  });
  return { ...series, percentiles };
}
