/**
 * The reads of one database, as statements and as what their rows mean.
 *
 * All of them resolve the pattern on the dictionary first and then touch summaries by `series_id` and bucket, the
 * leading columns of their key.
 */
import type { Statement } from '../database/pools.ts';
import type { Resolution } from '../domain/resolution.ts';
import type { AggregateQuery, Group, Span, SummaryQuery } from '../domain/store.ts';
import { type Summary, statisticNames } from '../domain/summary.ts';

/** What a read may fetch from one database, which bounds its memory: about 300 bytes each. */
export const rowsMax = 500_000;

const summaryColumns = `series.name, extract(epoch from bucket)::float8, summaries.id, ${statisticNames.join(', ')}`;

/** Single summaries; rows for `toSummary`. */
export function selectStatement({ namePattern, from, to }: SummaryQuery): Statement {
  return {
    text: `select ${summaryColumns} from series join summaries on summaries.series_id = series.id
      where ($1::text is null or series.name ~ $1)
        and bucket between to_timestamp($2::float8) and to_timestamp($3::float8)
      limit ${rowsMax + 1}`,
    values: [namePattern ?? null, from, to],
    rowMode: 'array',
  };
}

/** The single summaries of some spans, which must not overlap; rows for `toSummary`. */
export function selectSpansStatement(spans: readonly Span[]): Statement {
  return {
    text: `select ${summaryColumns}
      from unnest($1::text[], $2::float8[], $3::float8[]) as span (name, earliest, latest)
      join series on series.name = span.name
      join summaries on summaries.series_id = series.id
        and bucket between to_timestamp(span.earliest) and to_timestamp(span.latest)
      limit ${rowsMax + 1}`,
    values: [spans.map(({ name }) => name), spans.map(({ from }) => from), spans.map(({ to }) => to)],
    rowMode: 'array',
  };
}

/** A row of the statements for single summaries: name, bucket, id and the statistics in their order. */
export function toSummary([name, bucket, id, ...values]: unknown[]): Summary {
  const statistics = Object.fromEntries(statisticNames.map((statistic, index) => [statistic, values[index]]));
  return { name, bucket, id, ...statistics } as unknown as Summary;
}

/**
 * Merged groups; rows for `toGroup`.
 *
 * The mean is a sum of products, which PostgreSQL refuses to let overflow or underflow. Rows at the edge of double
 * precision are left out of it and their group is marked `extreme`: its caller merges it row by row.
 *
 * `last` is looked up by the latest bucket, one index descent for each group of several: half the time of an ordered
 * aggregate.
 */
export function aggregateStatement({ namePattern, from, to, resolution, timezone }: AggregateQuery): Statement {
  const start = bucketExpression(resolution);
  const isPlain = '(mean = 0 or abs(mean) between 1e-250 and 1e280) and (count = 0 or count >= 1e-30)';
  return {
    text: `
      with matched as materialized (select id, name from series where $1::text is null or name ~ $1),
      merged as (
        select series_id, ${start.sql} as start, min(bucket) as earliest, max(bucket) as latest,
          count(*) as summaries, bit_xor(uuid_hash_extended(id, 0)) as hash, bool_or(not (${isPlain})) as extreme,
          sum(count) as count, sum(mean * count) filter (where ${isPlain}) as weighted, sum(mean) as plain,
          max(median) as median, min(min) as min, max(max) as max, max(perc95) as perc95, max(perc99) as perc99, max(last) as greatest_last
        from summaries
        where series_id in (select id from matched)
          and bucket between to_timestamp($2::float8) and to_timestamp($3::float8)
        group by series_id, start
        limit ${rowsMax + 1})
      select matched.name, extract(epoch from start)::float8, extract(epoch from earliest)::float8,
        extract(epoch from latest)::float8, summaries::float8, hash::text, extreme, merged.count,
        case when summaries = 1 then plain when merged.count > 0 then weighted / merged.count
          else plain / summaries end,
        merged.median, merged.min, merged.max, merged.perc95, merged.perc99,
        case when summaries = 1 then greatest_last else newest.last end
      from merged
      join matched on matched.id = series_id
      left join lateral (
        select last from summaries
        where merged.summaries > 1 and summaries.series_id = merged.series_id and bucket = latest
        order by id desc limit 1) as newest on true`,
    values: [namePattern ?? null, from, to, ...start.values(timezone)],
    rowMode: 'array',
  };
}

/** A group as one database sees it. */
export interface AggregatedGroup extends Group {
  /** Its mean cannot be computed in SQL. */
  readonly isExtreme: boolean;
}

/** A row of `aggregateStatement`. */
export function toGroup(row: unknown[]): AggregatedGroup {
  const [name, bucket, from, to, count, hash, isExtreme, ...values] = row;
  const statistics = Object.fromEntries(statisticNames.map((statistic, index) => [statistic, values[index]]));
  const rest = { name, bucket, digest: { count, hash }, span: { name, from, to }, isExtreme };
  return { ...rest, ...statistics } as unknown as AggregatedGroup;
}

/** The start of a row's bucket, as `bucketStart` in the domain computes it. Parameters from $4 on. */
function bucketExpression({ amount, unit }: Resolution): { sql: string; values: (timezone: string) => unknown[] } {
  const width = `${amount} ${unit}s`;
  switch (unit) {
    case 'second':
    case 'minute':
    case 'hour':
      return { sql: "date_bin($4::interval, bucket, 'epoch'::timestamptz)", values: () => [width] };
    case 'day':
    case 'week': {
      // Weeks count from the first Monday of the epoch.
      const origin = unit === 'week' ? '1970-01-05' : '1970-01-01';
      const sql = `date_bin($4::interval, bucket at time zone $5, '${origin}'::timestamp) at time zone $5`;
      return { sql, values: (timezone) => [width, timezone] };
    }
    case 'month':
    case 'year':
      return { sql: 'date_trunc($4, bucket, $5)', values: (timezone) => [unit, timezone] };
  }
}
