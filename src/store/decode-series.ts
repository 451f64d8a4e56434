import type { SeriesGroups } from '../domain/series-groups.ts';
import type { Sketch } from '../domain/sketch.ts';
import { type StatisticName, statisticNames } from '../domain/summary.ts';
import { groupColumns } from './aggregate-statement.ts';

const columnsBefore = 4;

/** A row of `aggregateStatement`: name, units, how many names there are, sketches, and the columns as big-endian bytes. */
export function decodeSeries(row: readonly unknown[]): SeriesGroups {
  const bytesOf = (column: (typeof groupColumns)[number]) => {
    const given = row[columnsBefore + groupColumns.indexOf(column)] as Buffer;
    // Where it shares its memory with others, a copy: eight bytes aligned.
    const isOwn = given.byteLength === given.buffer.byteLength;
    const bytes = isOwn ? given : Buffer.from(Uint8Array.from(given).buffer);
    return bytes.swap64().buffer as ArrayBuffer;
  };
  const doubles = (column: (typeof groupColumns)[number]) => new Float64Array(bytesOf(column));
  const [name, units, , sketches] = row as [string, string | null, number, Buffer | null];
  return {
    name,
    ...(units !== null && { units }),
    ...(sketches !== null && { sketches: cut(sketches) }),
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
  return row[2] as number;
}

/** Each is as long as the four bytes before it say. */
function cut(bytes: Buffer): Sketch[] {
  const sketches: Sketch[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 4 + bytes.readInt32BE(at);
    sketches.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return sketches;
}
