/**
 * The merged groups of one database, as one statement that touches each summary at most once.
 *
 * 1. Match the pattern on the dictionary; from here on series are numbers.
 * 2. Merge: by the rules of `domain/merge-summaries.ts`, with the digest of the ids.
 * 3. Give one row a series, each column of its groups as the bytes of a big-endian array: a sixth of the time that a row
 *    a group takes in `pg`.
 *
 * Where the buckets consist of whole hours (UTC), the middle of the range is taken from the roll-ups:
 *
 *     from ──rows── h0 ──hours── d0 ──days── d1 ──hours── h1 ──rows── to
 *
 * Hours that are noted as dirty are read from their rows, and days with a dirty hour from their hours. Days are taken
 * where buckets consist of whole days. In a zone whose days do not begin with an hour of UTC, everything is read from rows.
 *
 * The mean is a sum of products, which PostgreSQL refuses to let overflow or underflow. Groups for which it would have
 * mean NaN: the caller merges them row by row.
 */
import type { Statement } from '../database/pools.ts';
import { type Resolution, unitSeconds } from '../domain/resolution.ts';
import type { AggregateQuery } from '../domain/store.ts';
import { statisticNames } from '../domain/summary.ts';

/** The columns of a series, in order: those of the groups, then the statistics. All but the hash are doubles. */
export const groupColumns = ['buckets', 'earliest', 'latest', 'counts', 'hashes', ...statisticNames] as const;

/** Rows for `decodeSeries`, names ascending. */
export function aggregateStatement({ namePattern, from, to, resolution, timezone }: AggregateQuery): Statement {
  const start = bucketExpression(resolution);
  const merged = rollUpsHelp(resolution)
    ? mergeRollUps(start.at, isWholeDays(resolution, timezone))
    : mergeRows(start.at);
  return {
    text: `
      with matched as materialized (select id, name from series where $1::text is null or name ~ $1),
      ${merged},
      finished as (
        select series_id, start, earliest, latest, summaries, hash, count,
          case when summaries <> weighed then 'NaN' when summaries = 1 then plain
            when count > 0 then weighted / count else plain / summaries end as mean,
          median, min, max, perc95, perc99, last
        from merged)
      select matched.name, (select count(*)::integer from matched),
        ${doubles(["date_part('epoch', start)", "date_part('epoch', earliest)", "date_part('epoch', latest)", 'summaries::float8'])},
        string_agg(int8send(hash), ''), ${doubles(statisticNames)}
      from (
        select name, finished.* from finished join matched on matched.id = series_id order by name, start) as matched
      group by matched.name
      order by matched.name`,
    values: [namePattern ?? null, from, to, ...start.values(timezone)],
  };
}

/** How many of the matching series have data in the range: too slow to be known before every read. */
export function countNamesStatement({ namePattern, from, to, namesMax }: AggregateQuery): Statement {
  return {
    text: `select count(*)::integer as names from (
        select from series where ($1::text is null or name ~ $1) and exists (
          select from summaries
          where series_id = series.id and bucket between to_timestamp($2::float8) and to_timestamp($3::float8))
        limit $4) as found`,
    values: [namePattern ?? null, from, to, namesMax + 1],
  };
}

const doubles = (expressions: readonly string[]) =>
  expressions.map((expression) => `string_agg(float8send(${expression}), '')`).join(', ');

type At = (instant: string) => string;

/** Every summary of the range, merged. */
function mergeRows(start: At): string {
  const rows = `select summaries.* from summaries
    where series_id in (select id from matched)
      and bucket between to_timestamp($2::float8) and to_timestamp($3::float8)`;
  return `merged as (${mergeSummaries(rows, start)})`;
}

/**
 * Merges summaries. The last is looked up by the latest bucket, one index descent for each group of several: half the
 * time of an ordered aggregate.
 */
function mergeSummaries(rows: string, start: At): string {
  return `
    select *, case when summaries = 1 then greatest_last else (
        select newest.last from summaries as newest
        where newest.series_id = groups.series_id and newest.bucket = latest order by newest.id desc limit 1) end as last
    from (
      select series_id, ${start('bucket')} as start, min(bucket) as earliest, max(bucket) as latest,
        count(*)::integer as summaries, bit_xor(uuid_hash_extended(id, 0)) as hash, sum(count) as count,
        sum(product) as weighted, count(product)::integer as weighed, sum(mean) as plain, max(median) as median,
        min(min) as min, max(max) as max, max(perc95) as perc95, max(perc99) as perc99, max(last) as greatest_last
      from (select *, mean_times_count(mean, count) as product from (${rows}) as rows) as products
      group by series_id, start) as groups`;
}

/** Roll-ups where there are any, summaries where not, merged. */
function mergeRollUps(start: At, isInDays: boolean): string {
  const columns = `earliest, latest, summaries, hash, count, weighted, weighed, plain, median, min, max, perc95, perc99, last`;
  const hour = "interval '1 hour'";
  const tick = "interval '1 microsecond'";
  const startOf = (unit: string, instant: string) => `date_bin('1 ${unit}', ${instant}, 'epoch')`;
  return `
    whole as materialized (
      select hours_from, case when isCut then hours_from else hours_to end as hours_to from (
        select hours_from, greatest(hours_from, hours_to) as hours_to, exists (
          select from generate_series(hours_from, hours_to - ${hour}, ${hour}) as hour
          where ${start('hour')} <> ${start(`hour + ${hour} - ${tick}`)}) as isCut
        from (
          select ${startOf('hour', `to_timestamp($2::float8) + ${hour} - ${tick}`)} as hours_from,
            least(${startOf('hour', `to_timestamp($3::float8) + ${tick}`)}, rolled_to) as hours_to
          from rollup_state) as bounds) as hours),
    middle as materialized (
      select hours_from, hours_to, days_from, ${isInDays ? `greatest(days_from, ${startOf('day', 'hours_to')})` : 'days_from'} as days_to
      from (
        select *, ${isInDays ? `least(hours_to, ${startOf('day', "hours_from + interval '1 day' - interval '1 microsecond'")})` : 'hours_to'} as days_from
        from whole) as days),
    dirty as materialized (
      select distinct series_id, hour from dirty_hours
      where series_id in (select id from matched)
        and hour >= (select hours_from from middle) and hour < (select hours_to from middle)),
    dirty_days as materialized (
      select distinct series_id, ${startOf('day', 'hour')} as day from dirty
      where hour >= (select days_from from middle) and hour < (select days_to from middle)),
    from_days as (
      select series_id, start, ${columns} from daily_rollups
      where series_id in (select id from matched)
        and start >= (select days_from from middle) and start < (select days_to from middle)
        and (series_id, start) not in (select series_id, day from dirty_days)),
    from_hours as (
      select hourly_rollups.series_id, start, ${columns}
      from (
        select id as series_id, hours_from as lower, days_from as upper from matched, middle
        union all select id, days_to, hours_to from matched, middle
        union all select series_id, day, day + interval '1 day' from dirty_days) as span
      join hourly_rollups on hourly_rollups.series_id = span.series_id and start >= lower and start < upper
      where (hourly_rollups.series_id, start) not in (select series_id, hour from dirty)),
    from_rows as (${mergeSummaries(
      `select summaries.* from (
        select id as series_id, to_timestamp($2::float8) as lower, least(hours_from - ${tick}, to_timestamp($3::float8)) as upper from matched, middle
        union all select id, hours_to, to_timestamp($3::float8) from matched, middle
        union all select series_id, hour, hour + ${hour} - ${tick} from dirty) as span
      cross join lateral (
        select * from summaries where summaries.series_id = span.series_id and bucket between lower and upper) as summaries`,
      start,
    )}),
    merged as (
      select series_id, ${start('start')} as start, min(earliest) as earliest, max(latest) as latest,
        sum(summaries) as summaries, bit_xor(hash) as hash, sum(count) as count, sum(weighted) as weighted,
        sum(weighed) as weighed, sum(plain) as plain, max(median) as median, min(min) as min, max(max) as max,
        max(perc95) as perc95, max(perc99) as perc99, (max(array[date_part('epoch', latest), last]))[2] as last
      from (
        select series_id, start, ${columns} from from_days
        union all select series_id, start, ${columns} from from_hours
        union all select series_id, start, ${columns} from from_rows) as parts
      group by series_id, 2)`;
}

/** Whether an hour lies in one bucket whole, unless a zone is in the way. */
function rollUpsHelp({ amount, unit }: Resolution): boolean {
  return (amount * unitSeconds[unit]) % unitSeconds.hour === 0;
}

/** Whether a day of UTC lies in one bucket whole. */
function isWholeDays({ unit }: Resolution, timezone: string): boolean {
  return unitSeconds[unit] >= unitSeconds.day && /^(etc\/)?(utc|gmt|uct|zulu|universal)$/i.test(timezone);
}

/** The start of an instant's bucket, as `bucketStart` in the domain computes it. Parameters from $4 on. */
function bucketExpression({ amount, unit }: Resolution): { at: At; values: (timezone: string) => unknown[] } {
  const width = `${amount} ${unit}s`;
  switch (unit) {
    case 'second':
    case 'minute':
    case 'hour':
      return { at: (instant) => `date_bin($4::interval, ${instant}, 'epoch'::timestamptz)`, values: () => [width] };
    case 'day':
    case 'week': {
      // Weeks count from the first Monday of the epoch.
      const origin = `'${unit === 'week' ? '1970-01-05' : '1970-01-01'}'::timestamp`;
      return {
        at: (instant) => `date_bin($4::interval, (${instant}) at time zone $5, ${origin}) at time zone $5`,
        values: (timezone) => [width, timezone],
      };
    }
    case 'month':
    case 'year':
      return { at: (instant) => `date_trunc($4, ${instant}, $5)`, values: (timezone) => [unit, timezone] };
  }
}
