import { binsOf, rankOf, type Sketch, sketchOf } from './sketch.ts';
import type { Statistics } from './summary.ts';

/** What the values of a metric are: each of interest, to be added up, or readings of which the last is of interest. */
export type Kind = 'measurement' | 'counter' | 'sample';

/**
 * The summary of some values in the order in which they came, at least one.
 *
 * Median and percentiles are the values that l2met took (`bucket.go`), at `rankOf` 50, 95 and 99. Measurements carry a
 * sketch as well, from which those of longer periods come, by the same rank.
 */
export function summarize(kind: Kind, values: readonly number[]): Statistics & { readonly sketch?: Sketch } {
  const inOrder = Float64Array.from(values).sort();
  const at = (percent: number) => inOrder[rankOf(percent, inOrder.length)] ?? Number.NaN;
  return {
    count: values.length,
    mean: meanOf(values),
    median: at(50),
    min: at(0),
    max: inOrder.at(-1) ?? Number.NaN,
    perc95: at(95),
    perc99: at(99),
    last: values.at(-1) ?? Number.NaN,
    ...(kind === 'measurement' && { sketch: sketchOf(binsOf(values)) }),
  };
}

/** The mean from which the sum comes back, as mean × count, wherever a double can do that: the quotient or a neighbour of it. */
function meanOf(values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  const mean = sum / values.length;
  const step = Math.abs(mean) * Number.EPSILON;
  return (
    [mean, mean + step / 2, mean - step / 2, mean + step, mean - step].find((one) => one * values.length === sum) ??
    mean
  );
}
