/**
 * How summaries that fall into one bucket become one.
 *
 * | statistic              | rule                                                                              |
 * |------------------------|-----------------------------------------------------------------------------------|
 * | count                  | sum                                                                               |
 * | mean                   | weighted by count; of summaries that all count 0, the plain mean                  |
 * | min, max               | least min, greatest max                                                           |
 * | last                   | of the latest bucket; within one bucket, of the greatest id                       |
 * | median, perc95, perc99 | of several that all carry a sketch: those of the sketches together; else the       |
 * |                        | greatest, since the true percentile is never above it                             |
 *
 * The result does not depend on the order of the summaries: they are put in order first, since floating point addition
 * is not associative and two reads of the same data must agree to the last bit.
 */
import { noSketch, readSketch, type Sketch } from './sketch.ts';
import type { Statistics, Summary } from './summary.ts';

/** Merges one or more summaries of one metric. The result of one is its own statistics, exactly. */
export function mergeSummaries(summaries: readonly Summary[]): Statistics {
  const inOrder = summaries.toSorted((a, b) => a.bucket - b.bucket || (a.id < b.id ? -1 : 1));
  const latest = inOrder.at(-1);
  if (latest === undefined) throw new Error('BUG: nothing to merge');
  const greatest = (statistic: 'median' | 'max' | 'perc95' | 'perc99') =>
    inOrder.reduce((most, summary) => Math.max(most, summary[statistic]), Number.NEGATIVE_INFINITY);
  const [min, max] = [
    inOrder.reduce((least, one) => Math.min(least, one.min), Number.POSITIVE_INFINITY),
    greatest('max'),
  ];
  const percentiles =
    summaries.length > 1 ? percentilesOf(sketchOfAll(summaries), summaries.length, min, max) : undefined;
  return {
    count: inOrder.reduce((sum, { count }) => sum + count, 0),
    mean: weightedMean(inOrder),
    median: percentiles?.(50) ?? greatest('median'),
    min,
    max,
    perc95: percentiles?.(95) ?? greatest('perc95'),
    perc99: percentiles?.(99) ?? greatest('perc99'),
    last: latest.last,
  };
}

/** The sketches of those that carry one, together. */
export function sketchOfAll(summaries: readonly Summary[]): Sketch {
  return Buffer.concat(summaries.map(({ sketch }) => sketch ?? noSketch));
}

/**
 * The percentiles, from 0 to 100, of a group of summaries; undefined where not every one of them carries a sketch. None is
 * outside min and max, which are exact.
 */
export function percentilesOf(
  sketch: Sketch,
  summaries: number,
  min: number,
  max: number,
): ((percent: number) => number) | undefined {
  const reading = sketch.length === 0 ? undefined : readSketch(sketch);
  if (reading?.summaries !== summaries || reading.values === 0) return undefined;
  return (percent) => Math.min(Math.max(reading.percentile(percent), min), max);
}

/**
 * West's incremental weighted mean (D. H. D. West, CACM 22:9, 1979): no sum of products, so that means of 1e300 times
 * counts of 2^53 do not overflow.
 */
function weightedMean(summaries: readonly Summary[]): number {
  const weighsNothing = summaries.every(({ count }) => count === 0);
  let mean = 0;
  let total = 0;
  for (const summary of summaries) {
    const weight = weighsNothing ? 1 : summary.count;
    total += weight;
    if (weight > 0) mean += (summary.mean - mean) * (weight / total);
  }
  return mean;
}
