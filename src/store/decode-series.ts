import type { SeriesGroups } from '../domain/series-groups.ts';
import { type StatisticName, statisticNames } from '../domain/summary.ts';
import { groupColumns } from './aggregate-statement.ts';

const columnsBefore = 2;

/** A row of `aggregateStatement`: the name, how many names there are, and the columns as big-endian bytes. */
export function decodeSeries(row: readonly unknown[]): SeriesGroups {
  const bytesOf = (column: (typeof groupColumns)[number]) => {
    // A copy: eight bytes aligned, and free of the block that the driver read.
    const bytes = Buffer.from(Uint8Array.from(row[columnsBefore + groupColumns.indexOf(column)] as Buffer).buffer);
    return bytes.swap64().buffer;
  };
  const doubles = (column: (typeof groupColumns)[number]) => new Float64Array(bytesOf(column));
  return {
    name: row[0] as string,
    buckets: doubles('buckets'),
    earliest: doubles('earliest'),
    latest: doubles('latest'),
    counts: doubles('counts'),
    hashes: new BigInt64Array(bytesOf('hashes')),
    statistics: Object.fromEntries(statisticNames.map((statistic) => [statistic, doubles(statistic)])) as Record<
      StatisticName,
      Float64Array
    >,
  };
}

/** Of a row of `aggregateStatement`: how many of the names that match have data in the range, and so a row. */
export function countNames(row: readonly unknown[]): number {
  return row[1] as number;
}
