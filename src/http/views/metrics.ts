import { z } from '@hono/zod-openapi';
import {
  type Accuracy,
  accuracies,
  accuracyOf,
  percentileAccuracy,
  type SeriesGroups,
} from '../../domain/series-groups.ts';
import { statisticNames } from '../../domain/summary.ts';

/** More lines than anybody can tell apart; a pattern this wide is most likely a mistake. */
export const namesMax = 10_000;

const entries = z.array(
  z.object({
    bucket: z.number(),
    value: z.number(),
    accuracy: z.enum(accuracies).optional().openapi({ description: 'With `accuracy=true`: how near the value is.' }),
  }),
);

/** The shape that the README of the original promised; each of the eight has one entry per bucket that holds data. */
export const metricsAnswer = z
  .array(
    z
      .object({
        name: z.string(),
        units: z.string().optional(),
        count: entries,
        mean: entries,
        median: entries,
        min: entries,
        max: entries,
        perc95: entries,
        perc99: entries,
        last: entries,
      })
      .catchall(entries),
  )
  .openapi('Metrics', { description: 'Names ascending, buckets ascending, in Unix seconds.' });

/** Small enough that what a part is made of is garbage before it has grown old, and cheap to collect. */
const partCharactersMin = 16_384;

/**
 * Entries of so many buckets are made objects and text at once. Text put together value by value is made a tenth sooner, but
 * V8 keeps the last digits of many numbers at hand, and those of millions fill its memory.
 */
const bucketsAtOnce = 400;

/** What an answer includes on request. */
export interface More {
  /** The percentiles that were asked for. */
  readonly percents?: readonly number[];
  /** How near each value is. */
  readonly accuracy?: boolean;
}

/** The text of an answer in the shape of `metricsAnswer`, in parts of some 16 to 32 kilobytes. */
export async function* renderMetrics(
  pages: AsyncIterable<readonly SeriesGroups[]>,
  more: More = {},
): AsyncGenerator<string> {
  let part = '[';
  let separator = '';
  for await (const page of pages) {
    for (const series of page) {
      part += separator;
      separator = ',';
      for (const text of renderSeries(series, more)) {
        part += text;
        if (part.length < partCharactersMin) continue;
        yield part;
        part = '';
      }
    }
  }
  yield `${part}]`;
}

/** Gives the accuracy of a value by the index of its group. Undefined: it was not asked for. */
type AccuracyAt = ((index: number) => Accuracy) | undefined;

function* renderSeries(series: SeriesGroups, { percents = [], accuracy = false }: More): Generator<string> {
  const { name, units, buckets, statistics, percentiles = [] } = series;
  // Without its closing brace.
  yield JSON.stringify({ name, units }).slice(0, -1);
  for (const statistic of statisticNames) {
    const at: AccuracyAt = accuracy ? (index) => accuracyOf(series, statistic, index) : undefined;
    yield* renderColumn(statistic, buckets, statistics[statistic], at);
  }
  for (const [place, column] of percentiles.entries()) {
    const isKnown = (_: unknown, index: number) => !Number.isNaN(column[index]);
    const at: AccuracyAt = accuracy ? () => percentileAccuracy : undefined;
    yield* renderColumn(`perc${percents[place]}`, buckets.filter(isKnown), column.filter(isKnown), at);
  }
  yield '}';
}

/** JSON has no word for what is not a number: it becomes null. */
function* renderColumn(
  key: string,
  buckets: Float64Array,
  values: Float64Array,
  accuracyAt: AccuracyAt,
): Generator<string> {
  yield `,"${key}":[`;
  for (let begin = 0; begin < buckets.length; begin += bucketsAtOnce) {
    const entries: object[] = [];
    const end = Math.min(begin + bucketsAtOnce, buckets.length);
    for (let index = begin; index < end; index += 1) {
      const [bucket, value] = [buckets[index], values[index]];
      entries.push(accuracyAt ? { bucket, value, accuracy: accuracyAt(index) } : { bucket, value });
    }
    yield `${begin > 0 ? ',' : ''}${JSON.stringify(entries).slice(1, -1)}`;
  }
  yield ']';
}
