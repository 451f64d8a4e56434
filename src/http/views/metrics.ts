import { z } from '@hono/zod-openapi';
import type { SeriesGroups } from '../../domain/series-groups.ts';
import { statisticNames } from '../../domain/summary.ts';

/** More lines than anybody can tell apart; a pattern this wide is most likely a mistake. */
export const namesMax = 10_000;

const entries = z.array(z.object({ bucket: z.number(), value: z.number() }));

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

/** An answer of more text than this is sent piece by piece as it is made; less is sent at once, with its length. */
const pieceCharactersMin = 1_000_000;

/** The text of an answer in the shape of `metricsAnswer`, in pieces; the first is the whole of a small one. */
export async function* renderMetrics(
  pages: AsyncIterable<readonly SeriesGroups[]>,
  percents: readonly number[] = [],
): AsyncGenerator<string> {
  let piece = '[';
  let separator = '';
  for await (const page of pages) {
    for (const series of page) {
      piece += `${separator}${renderSeries(series, percents)}`;
      separator = ',';
      if (piece.length < pieceCharactersMin) continue;
      yield piece;
      piece = '';
    }
  }
  yield `${piece}]`;
}

/** By hand: `JSON.stringify` would need an object for each of the values first. */
function renderSeries(
  { name, units, buckets, statistics, percentiles = [] }: SeriesGroups,
  percents: readonly number[],
) {
  const heads = Array.from(buckets, (bucket, index) => `${index > 0 ? ',' : ''}{"bucket":${bucket},"value":`);
  let text = `{"name":${JSON.stringify(name)}`;
  if (units !== undefined) text += `,"units":${JSON.stringify(units)}`;
  for (const statistic of statisticNames) text += `,"${statistic}":[${renderColumn(heads, statistics[statistic])}]`;
  percentiles.forEach((column, place) => {
    const entries = Array.from(column, (value, index) => ({ bucket: buckets[index], value }));
    text += `,"perc${percents[place]}":${JSON.stringify(entries.filter(({ value }) => !Number.isNaN(value)))}`;
  });
  return `${text}}`;
}

function renderColumn(heads: readonly string[], values: Float64Array): string {
  let text = '';
  heads.forEach((head, index) => {
    const value = values[index];
    // JSON has no word for what is not a number.
    text += `${head}${Number.isFinite(value) ? value : 'null'}}`;
  });
  return text;
}
