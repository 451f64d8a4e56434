import type { SeriesGroups } from '../domain/series-groups.ts';
import { noSketch, type Sketch } from '../domain/sketch.ts';
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
  const [buckets, counts] = [doubles('buckets'), doubles('counts')];
  if (buckets.length !== counts.length) throw new Error('BUG: a group without a bucket');
  return {
    name,
    ...(units !== null && { units }),
    ...(sketches !== null && { sketches: cut(sketches, buckets) }),
    buckets,
    earliest: doubles('earliest'),
    latest: doubles('latest'),
    counts,
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

/** The sketch of each bucket, in their order. Each is in `bytes` after its bucket and its length. */
function cut(bytes: Buffer, buckets: Float64Array): Sketch[] {
  let at = 0;
  return Array.from(buckets, (bucket) => {
    if (at === bytes.length || bytes.readDoubleBE(at) !== bucket) return noSketch;
    const begin = at + 12;
    at = begin + bytes.readInt32BE(at + 8);
    return bytes.subarray(begin, at);
  });
}
