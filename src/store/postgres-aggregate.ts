/**
 * The aggregate of one database: a cursor over the rows of `aggregateStatement`, one row a series, page by page.
 */
import type { RowCursor } from '../database/cursor.ts';
import type { Database } from '../database/database.ts';
import { Failure } from '../domain/failure.ts';
import { bucketsBetween } from '../domain/resolution.ts';
import type { SeriesGroups } from '../domain/series-groups.ts';
import type { AggregateQuery, Aggregation } from '../domain/store.ts';
import { aggregateStatement } from './aggregate-statement.ts';
import { countNames, decodeSeries } from './decode-series.ts';
import { mergeRowsInto, type ReadSpans } from './merge-rows.ts';

/** What a page may hold of the groups of one database: some 5 MB, and enough that fetching costs next to nothing. */
const groupsMax = 20_000;

/** More series than this are no fewer fetches worth mentioning. */
const seriesMax = 1_000;

/** Begins the read; resolves with the first page at hand. Rejects with the Failure of the database. */
export async function aggregatePages(
  database: Database,
  query: AggregateQuery,
  readSpans: ReadSpans,
): Promise<Pick<Aggregation, 'pages' | 'close'>> {
  const { from, to, resolution } = query;
  const rowsMax = Math.max(1, Math.min(seriesMax, Math.floor(groupsMax / bucketsBetween(from, to, resolution))));
  const cursor = await database.open('read', aggregateStatement(query));
  try {
    const first = await cursor.read(rowsMax);
    refuseTooManyNames(query, first);
    return { pages: readPages(cursor, first, rowsMax, query, readSpans), close: cursor.close };
  } catch (error) {
    await cursor.close();
    throw error;
  }
}

async function* readPages(
  cursor: RowCursor,
  first: unknown[][],
  rowsMax: number,
  query: AggregateQuery,
  readSpans: ReadSpans,
): AsyncGenerator<SeriesGroups[]> {
  for (let rows = first; rows.length > 0; rows = rows.length < rowsMax ? [] : await cursor.read(rowsMax)) {
    const page = rows.map(decodeSeries);
    const extreme = page.flatMap((series) => indicesOfNaN(series).map((index) => ({ series, index })));
    await mergeRowsInto(extreme, query, readSpans);
    yield page;
  }
}

/** Groups whose mean could not be computed in SQL. */
function indicesOfNaN({ statistics }: SeriesGroups): number[] {
  const indices: number[] = [];
  statistics.mean.forEach((mean, index) => {
    if (Number.isNaN(mean)) indices.push(index);
  });
  return indices;
}

/** Counted by the statement itself: a second one would take as long again, past the time of the read. */
function refuseTooManyNames({ namesMax }: AggregateQuery, [row]: readonly (readonly unknown[])[]): void {
  if (row === undefined || countNames(row) <= namesMax) return;
  throw new Failure('read_too_large', `matches more than ${namesMax} names with data in the range: narrow it`);
}
