/**
 * The names of one database and the time that each covers, as one statement that reads no more of the summaries than their
 * ends: by the key (series_id, bucket, id) one descent a partition, and of packed weeks the bounds of their chunks.
 *
 * The names are gone through in their order until enough of them hold a summary.
 */
import type { Statement } from '../database/pools.ts';
import type { NamedSpan, NamesQuery } from '../domain/store.ts';

const since = 'to_timestamp($2::float8)';

// Partitions are ranges of buckets: they are gone through in order, up to the first that holds one.
const edgeOfRows = (direction: 'asc' | 'desc') => `
  (select bucket from summaries where series_id = matched.id and bucket >= ${since} order by bucket ${direction} limit 1)`;

// A chunk lies within a week, but late ones may overlap: the one that begins first is among those that end within a week of
// the one that ends first. Only a chunk that begins before the time is unpacked.
const firstOfChunks = `
  (select case when min(earliest) >= ${since} then min(earliest)
     else (select min(bucket) from packed_between(matched.id, ${since}, min(ending.latest))) end
   from (select latest from packed_chunks where series_id = matched.id and latest >= ${since} order by latest limit 1) as ending
   join packed_chunks as chunk on chunk.series_id = matched.id and chunk.latest >= ending.latest
     and chunk.latest <= ending.latest + interval '7 days' and chunk.earliest <= ending.latest)`;

const lastOfChunks = `
  (select latest from packed_chunks where series_id = matched.id and latest >= ${since} order by latest desc limit 1)`;

/** Rows for `toNamedSpan`: one more than the limit where more match. */
export function namesStatement({ namePattern, from, limit }: NamesQuery): Statement {
  return {
    text: `
      select name, units, extract(epoch from first)::float8, extract(epoch from last)::float8
      from (select * from series where $1::text is null or name ~ $1 order by name offset 0) as matched
      cross join lateral (
        select least(${edgeOfRows('asc')}, ${firstOfChunks}) as first,
          greatest(${edgeOfRows('desc')}, ${lastOfChunks}) as last offset 0) as ends
      where first is not null
      order by name
      limit $3`,
    values: [namePattern ?? null, from, limit + 1],
    rowMode: 'array',
  };
}

/** A row of the statement. */
export function toNamedSpan([name, units, first, last]: unknown[]): NamedSpan {
  return { name, units, first, last } as NamedSpan;
}
