/**
 * The reads of single summaries from one database, as statements and as what their rows mean.
 *
 * All of them resolve the pattern on the dictionary first and then touch summaries by `series_id` and bucket, the
 * leading columns of their key.
 */
import type { Statement } from '../database/pools.ts';
import type { Span, SummaryQuery } from '../domain/store.ts';
import { type Summary, statisticNames } from '../domain/summary.ts';

/** What a read may fetch from one database, which bounds its memory: about 300 bytes each. */
export const rowsMax = 500_000;

/** Of a summary, row or packed, of a table by its name; each by its own, since an operator may add some to the summaries. */
export function storedColumns(table: string): string {
  return ['series_id', 'bucket', 'id', ...statisticNames, 'sketch'].map((column) => `${table}.${column}`).join(', ');
}

const columns = `units, extract(epoch from bucket)::float8, stored.id, nullif(sketch, '') as sketch, ${statisticNames.join(', ')}`;

/** Single summaries; rows for `toSummary`. */
export function selectStatement({ namePattern, from, to }: SummaryQuery): Statement {
  return {
    text: `
      with matched as materialized (select id, name, units from series where $1::text is null or name ~ $1)
      select name, ${columns} from (
        select matched.name, matched.units, ${storedColumns('summaries')} from matched join summaries on summaries.series_id = matched.id
        where bucket between to_timestamp($2::float8) and to_timestamp($3::float8)
        union all select matched.name, matched.units, ${storedColumns('packed')} from matched
        cross join lateral packed_with_sketches(matched.id, to_timestamp($2::float8), to_timestamp($3::float8)) as packed
      ) as stored
      limit ${rowsMax + 1}`,
    values: [namePattern ?? null, from, to],
    rowMode: 'array',
  };
}

/** The single summaries of some spans, which must not overlap; rows for `toSummary`. */
export function selectSpansStatement(spans: readonly Span[]): Statement {
  return {
    text: `
      select series.name, ${columns}
      from unnest($1::text[], $2::float8[], $3::float8[]) as span (name, earliest, latest)
      join series on series.name = span.name
      -- Each span by the index: the planner cannot know how short they are, and might read all summaries instead.
      cross join lateral (
        select ${storedColumns('summaries')} from summaries
        where summaries.series_id = series.id
          and bucket between to_timestamp(span.earliest) and to_timestamp(span.latest)
        union all
        select ${storedColumns('packed')}
        from packed_with_sketches(series.id, to_timestamp(span.earliest), to_timestamp(span.latest)) as packed
        offset 0) as stored
      limit ${rowsMax + 1}`,
    values: [spans.map(({ name }) => name), spans.map(({ from }) => from), spans.map(({ to }) => to)],
    rowMode: 'array',
  };
}

/** The units of series that have any; rows of name and units. */
export function unitsStatement(names: readonly string[]): Statement {
  return {
    text: 'select name, units from series where name = any ($1::text[]) and units is not null',
    values: [names],
    rowMode: 'array',
  };
}

/**
 * The summaries of some spans with their arrivals and the deletion that covers each, if one does; rows for `toHeld`. A deletion
 * that was applied and lies in the future is one whose clock was set back: it covers nothing any more.
 */
export function selectHeldStatement(spans: readonly Span[]): Statement {
  return {
    text: `
      select series.name, ${columns}, date_part('epoch', arrived), (
        select deletions.id from deletions
        where deletions.name = series.name and settled_at is null and bucket between deletions.earliest and deletions.latest
          and case when applied_at is null then covers(arrived, stored.id, deleted_at, applied_at, by_id) or is_ahead(arrived)
            else deleted_at <= now() and covers(arrived, stored.id, deleted_at, applied_at, by_id) end
        limit 1)
      from unnest($1::text[], $2::float8[], $3::float8[]) as span (name, earliest, latest)
      join series on series.name = span.name
      cross join lateral (
        select ${storedColumns('summaries')}, summaries.arrived from summaries
        where summaries.series_id = series.id
          and bucket between to_timestamp(span.earliest) and to_timestamp(span.latest)
        union all
        select ${storedColumns('packed')}, packed.arrived
        from packed_with_arrivals(series.id, to_timestamp(span.earliest), to_timestamp(span.latest)) as packed
        offset 0) as stored
      limit ${rowsMax + 1}`,
    values: [spans.map(({ name }) => name), spans.map(({ from }) => from), spans.map(({ to }) => to)],
    rowMode: 'array',
  };
}

/** A summary that a database holds. */
export interface HeldSummary {
  readonly summary: Summary;
  /** By the clock of the database, Unix seconds; minus infinity: nobody knows. */
  readonly arrived: number;
  /** The deletion that covers it, of those that the database knows. */
  readonly coveredBy: string | null;
}

/** A row of the statement for held summaries: that of a summary, arrival and deletion. */
export function toHeld(row: unknown[]): HeldSummary {
  const [arrived, coveredBy] = row.slice(-2) as [number, string | null];
  return { summary: toSummary(row.slice(0, -2)), arrived, coveredBy };
}

/** A row of the statements for single summaries: name, units, bucket, id, sketch and the statistics in their order. */
export function toSummary([name, units, bucket, id, sketch, ...values]: unknown[]): Summary {
  const statistics = Object.fromEntries(statisticNames.map((statistic, index) => [statistic, values[index]]));
  const more = {
    ...(sketch !== null && { sketch: Uint8Array.from(sketch as Buffer) }),
    ...(units !== null && { units }),
  };
  return { name, bucket, id, ...statistics, ...more } as unknown as Summary;
}
