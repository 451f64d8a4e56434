import { accuracyOf, percentileAccuracy, type SeriesGroups } from '../../domain/series-groups.ts';
import { statisticNames } from '../../domain/summary.ts';
import type { More } from './metrics.ts';

/** Its header line is there, also when nothing else is. */
export const csvType = 'text/csv; charset=utf-8; header=present';

/** As in `metrics.ts`. */
const partCharactersMin = 16_384;

/** RFC 4180 ends lines so. */
const lineEnd = '\r\n';

/**
 * What a spreadsheet takes for the beginning of a formula, in the width of Latin and of Chinese text. Whoever may write can
 * choose a name, and it is somebody else who opens the table.
 */
const formulaStart = /^[\s\p{Cf}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/u;

/**
 * The text of a read as CSV (RFC 4180), in parts of some 16 kilobytes: a line for each name and bucket, names ascending,
 * then buckets.
 *
 * A name, or units, that a spreadsheet would take for a formula has an apostrophe before it, by which it is text to them; who
 * needs names to the letter takes JSON. A statistic that is not a number is an empty cell.
 */
export async function* renderMetricsCsv(
  pages: AsyncIterable<readonly SeriesGroups[]>,
  { percents = [], accuracy = false }: More = {},
): AsyncGenerator<string> {
  const values = [...statisticNames, ...percents.map((percent) => `perc${percent}`)];
  const accuracies = accuracy ? values.map((value) => `${value}_accuracy`) : [];
  const columns = ['name', 'bucket', 'time', ...values, 'units', ...accuracies];
  let part = `${columns.join(',')}${lineEnd}`;
  for await (const page of pages) {
    for (const series of page) {
      for (const line of renderLines(series, accuracy)) {
        part += line;
        if (part.length < partCharactersMin) continue;
        yield part;
        part = '';
      }
    }
  }
  yield part;
}

function* renderLines(series: SeriesGroups, accuracy: boolean): Generator<string> {
  const { name, units = '', buckets, statistics, percentiles = [] } = series;
  const [cell, unitsCell] = [renderText(name), renderText(units)];
  const all = [...statisticNames.map((statistic) => statistics[statistic]), ...percentiles];
  for (const [index, bucket] of buckets.entries()) {
    let line = `${cell},${bucket},${renderTime(bucket)}`;
    for (const column of all) {
      const value = column[index];
      line += Number.isFinite(value) ? `,${value}` : ',';
    }
    yield `${line},${unitsCell}${accuracy ? renderAccuracies(series, index) : ''}${lineEnd}`;
  }
}

/** The cells of accuracies, each after its comma; empty if the value is. */
function renderAccuracies(series: SeriesGroups, index: number): string {
  const ofStatistics = statisticNames.map((statistic) => `,${accuracyOf(series, statistic, index)}`);
  const ofPercentiles = (series.percentiles ?? []).map((column) =>
    Number.isNaN(column[index]) ? ',' : `,${percentileAccuracy}`,
  );
  return [...ofStatistics, ...ofPercentiles].join('');
}

function renderText(text: string): string {
  const harmless = formulaStart.test(text) ? `'${text}` : text;
  // Leading and trailing spaces are quoted as well: some readers would trim them.
  return /[",\r\n;]|^\s|\s$/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** UTC, in RFC 3339. */
function renderTime(bucket: number): string {
  return new Date(bucket * 1000).toISOString().replace('.000Z', 'Z');
}
