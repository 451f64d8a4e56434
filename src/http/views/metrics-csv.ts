import type { SeriesGroups } from '../../domain/series-groups.ts';
import { statisticNames } from '../../domain/summary.ts';

/** Its header line is there, also when nothing else is. */
export const csvType = 'text/csv; charset=utf-8; header=present';

/** As in `metrics.ts`. */
const pieceCharactersMin = 1_000_000;

/** RFC 4180 ends lines so. */
const lineEnd = '\r\n';

/**
 * What a spreadsheet takes for the beginning of a formula, in the width of Latin and of Chinese text. Whoever may write can
 * choose a name, and it is somebody else who opens the table.
 */
const formulaStart = /^[\s\p{Cf}]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/u;

/**
 * The text of a read as CSV (RFC 4180), in pieces: a line for each name and bucket, names ascending, then buckets.
 *
 * A name that a spreadsheet would take for a formula has an apostrophe before it, by which it is text to them; who needs
 * names to the letter takes JSON. A statistic that is not a number is an empty cell.
 */
export async function* renderMetricsCsv(
  pages: AsyncIterable<readonly SeriesGroups[]>,
  percents: readonly number[] = [],
): AsyncGenerator<string> {
  const columns = ['name', 'bucket', 'time', ...statisticNames, ...percents.map((percent) => `perc${percent}`)];
  let piece = `${columns.join(',')}${lineEnd}`;
  for await (const page of pages) {
    for (const series of page) {
      piece += renderSeries(series);
      if (piece.length < pieceCharactersMin) continue;
      yield piece;
      piece = '';
    }
  }
  yield piece;
}

function renderSeries({ name, buckets, statistics, percentiles = [] }: SeriesGroups): string {
  const cell = renderText(name);
  let lines = '';
  buckets.forEach((bucket, index) => {
    lines += `${cell},${bucket},${renderTime(bucket)}`;
    for (const column of [...statisticNames.map((statistic) => statistics[statistic]), ...percentiles]) {
      const value = column[index];
      lines += Number.isFinite(value) ? `,${value}` : ',';
    }
    lines += lineEnd;
  });
  return lines;
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
