import { percentilesOf } from './merge-summaries.ts';
import { noSketch, type Sketch } from './sketch.ts';
import { type StatisticName, type Statistics, statisticNames } from './summary.ts';

/**
 * How near a statistic of a group is to that of all its values. Count, mean, min, max and last are exact, as are all statistics of a
 * single summary. Median and percentiles of several are within 1 % where all of them carry a sketch, else an upper bound.
 */
export const accuracies = ['exact', 'within_1_percent', 'upper_bound'] as const;

/** One of them. */
export type Accuracy = (typeof accuracies)[number];

/** The accuracy of percentiles that are asked for: they come from sketches, even for a single summary. */
export const percentileAccuracy: Accuracy = 'within_1_percent';

/** The statistics that are not always exact. */
const inexact: readonly StatisticName[] = ['median', 'perc95', 'perc99'];

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
  /** The accuracy of median, perc95 and perc99 of each group, as an index into `accuracies`. */
  readonly accuracy?: Uint8Array;
}

/** The accuracy of a statistic of a group. `takePercentiles` must have finished the series. */
export function accuracyOf({ accuracy }: SeriesGroups, statistic: StatisticName, index: number): Accuracy {
  return (inexact.includes(statistic) ? accuracies[accuracy?.[index] ?? 0] : undefined) ?? 'exact';
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
  const accuracy = Uint8Array.from(counts, (count) => accuracies.indexOf(count > 1 ? 'upper_bound' : 'exact'));
  sketches.forEach((sketch, index) => {
    const of = (column: Float64Array) => column[index] ?? Number.NaN;
    const percentile = percentilesOf(sketch, of(counts), of(statistics.min), of(statistics.max));
    if (percentile === undefined) return;
    if (of(counts) > 1) {
      statistics.median[index] = percentile(50);
      statistics.perc95[index] = percentile(95);
      statistics.perc99[index] = percentile(99);
      accuracy[index] = accuracies.indexOf('within_1_percent');
    }
    percentiles.forEach((column, place) => {
      column[index] = percentile(wanted[place] ?? Number.NaN);
    });
  });
  return { ...series, percentiles, accuracy };
}
