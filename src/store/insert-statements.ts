/**
 * The statements that store summaries, and their parameters.
 *
 * Columns travel as binary arrays. Each distinct name is looked up once; the rows refer to it by its place in the list. A name
 * that is not in the dictionary gives a null series_id, so the statement fails and stores nothing.
 */
import {
  byteaArray,
  float8Array,
  int4Array,
  textArray,
  timestamptzArray,
  uuidArray,
} from '../database/binary-array.ts';
import type { Database } from '../database/database.ts';
import type { Statement } from '../database/pools.ts';
import { noSketch } from '../domain/sketch.ts';
import { type Summary, statisticNames } from '../domain/summary.ts';

/**
 * When the summaries of a batch were received, as instants of the database, and what that asks of the statement.
 *
 * - `prompt`: moments ago, and nearly together. The statement takes all of them for received with the last. When it comes late,
 *   because the server or the network did not pass it on, it stores nothing.
 * - `waited`: at any time, each at its own. What a deletion covers is left out.
 * - `again`: as `waited`, and some may be stored already. Those count as received now, unless they came twice within moments.
 */
export type Arrivals =
  | { readonly mode: 'prompt'; readonly arrived: number; readonly until: number }
  | {
      readonly mode: 'waited' | 'again';
      readonly arrived: readonly number[];
      /** Deletions that cover none of them, as the caller knows. */
      readonly judged: readonly string[];
    };

const columns = ['bucket', 'id', ...statisticNames] as const;
const statistics = statisticNames.map((name, index) => `unnest($${index + 5}::float8[]) as ${name}`).join(', ');

const durable = "set_config('synchronous_commit', 'on', true) as durable";

// An arrival in the future would be one that no clock has shown yet.
const sharedArrival = 'least(now(), to_timestamp($13::float8)) as arrived';
const isInTime = 'now() < to_timestamp($14::float8)';

// A deletion in the future was noted before the clock was set back, and tells nothing of what arrives now.
const deletedRanges = `
  deleted as materialized (
    select place, earliest, latest, deleted_at
    from unnest($1::text[]) with ordinality as asked (name, place) join deletions on deletions.name = asked.name
    where deleted_at <= now() and deletions.id <> all ($14::uuid[]))`;
const isNotDeleted = `
  not exists (
    select from deleted
    where deleted.place = given.name and given.bucket between earliest and latest and given.arrived < deleted_at)`;

// With its target: what another unique index refuses, an operator's, is not stored, and must not pass for it.
const orMoveOn = `
  on conflict (series_id, bucket, id) do update set arrived = excluded.arrived
  where summaries.arrived < excluded.arrived - interval '2 seconds' or is_ahead(summaries.arrived)
    or exists (
      select from deletions join series on series.name = deletions.name
      where settled_at is null and series.id = summaries.series_id and summaries.bucket between earliest and latest
        and summaries.arrived < deleted_at and excluded.arrived >= deleted_at)`;

// Each distinct name is looked up once; the rows refer to it by its place in the list. The arrays are unnested side by
// side in a select list, which hands row after row on; in a `from`, each array would be written to a table first.
// An acknowledged commit is on disk, also when something between us and the server has changed the session.
function insertSummaries(mode: Arrivals['mode'], names: string, more: readonly string[] = []): string {
  const isPrompt = mode === 'prompt';
  const inserted = [...columns, ...more];
  const arrivals = isPrompt ? '' : ', unnest($13::timestamptz[]) as arrived';
  const sketches = more.map((name, index) => `, unnest($${index + 15}::bytea[]) as ${name}`).join('');
  return `
  insert into summaries (series_id, ${inserted.join(', ')}, arrived)
  select names.ids[given.name], ${inserted.map((column) => `given.${column}`).join(', ')},
    ${isPrompt ? 'names.arrived' : 'least(now(), given.arrived)'}
  from (select array_agg(id order by place) as ids, ${durable}${isPrompt ? `, ${sharedArrival}` : ''} from ${names}) as names,
    (select unnest($2::int4[]) as name, unnest($3::timestamptz[]) as bucket, unnest($4::uuid[]) as id, ${statistics}${arrivals}${sketches})
      as given
  where ${isPrompt ? isInTime : isNotDeleted}
  ${mode === 'again' ? orMoveOn : ''}`;
}

const namesAlone = `
  unnest($1::text[]) with ordinality as listed (name, place)
  left join series on series.name = listed.name`;

function insertPlain(mode: Arrivals['mode']): string {
  return `${mode === 'prompt' ? '' : `with ${deletedRanges}`} ${insertSummaries(mode, namesAlone)}`;
}

// Also gives the units that are other ones than those that the series has: they are noted afterwards.
function insertRich(mode: Arrivals['mode']): string {
  return `
  with listed as materialized (
      select place, listed.name, listed.units, series.id, series.units as noted
      from unnest($1::text[], $16::text[]) with ordinality as listed (name, units, place)
      left join series on series.name = listed.name),
    ${mode === 'prompt' ? '' : `${deletedRanges},`}
    inserted as (${insertSummaries(mode, 'listed', ['sketch'])})
  select name, units from listed where units <> '' and noted is distinct from units
  ${mode === 'prompt' ? `union all select null, null where not ${isInTime}` : ''}`;
}

const modes = ['prompt', 'waited', 'again'] as const;
const statementsOf = (name: string, textOf: (mode: Arrivals['mode']) => string) =>
  Object.fromEntries(modes.map((mode) => [mode, { name: `${name}_${mode}`, text: textOf(mode) }])) as Readonly<
    Record<Arrivals['mode'], Statement>
  >;
const plain = statementsOf('insert_summaries', insertPlain);
const rich = statementsOf('insert_rich_summaries', insertRich);

/** The statement that stores some summaries. */
export function insertOf(summaries: readonly Summary[], arrivals: Arrivals): Statement {
  const isRich = summaries.some(({ sketch, units }) => sketch !== undefined || units !== undefined);
  const { values, placeOf } = encode(summaries);
  const given = [...values, ...encodeArrivals(arrivals)];
  if (!isRich) return { ...plain[arrivals.mode], values: given };
  return { ...rich[arrivals.mode], values: [...given, ...encodeMore(summaries, placeOf)] };
}

/** Whether a `prompt` statement came too late and stored nothing. One that a trigger kept from storing anything looks like it. */
export function isTooLate({ command, rows, rowCount }: Awaited<ReturnType<Database['query']>>): boolean {
  return rows.some(({ name }) => name === null) || (command === 'INSERT' && rowCount === 0);
}

function encodeArrivals(arrivals: Arrivals): unknown[] {
  if (arrivals.mode === 'prompt') return [arrivals.arrived, arrivals.until];
  return [timestamptzArray(arrivals.arrived), uuidArray(arrivals.judged)];
}

/** The parameters that both have, and the place of each name in the first of them. */
function encode(summaries: readonly Summary[]): { values: Buffer[]; placeOf: ReadonlyMap<string, number> } {
  const placeOf = new Map<string, number>();
  const places = summaries.map(({ name }) => {
    const place = placeOf.get(name) ?? placeOf.size + 1;
    if (place > placeOf.size) placeOf.set(name, place);
    return place;
  });
  const values = [
    textArray([...placeOf.keys()]),
    int4Array(places),
    timestamptzArray(summaries.map(({ bucket }) => bucket)),
    uuidArray(summaries.map(({ id }) => id)),
    ...statisticNames.map((statistic) => float8Array(summaries.map((summary) => summary[statistic]))),
  ];
  return { values, placeOf };
}

/** What the rich insert has besides. */
function encodeMore(summaries: readonly Summary[], placeOf: ReadonlyMap<string, number>): Buffer[] {
  const unitsOf = new Map(summaries.flatMap(({ name, units }) => (units === undefined ? [] : [[name, units]])));
  const units = [...placeOf.keys()].map((name) => unitsOf.get(name) ?? '');
  return [byteaArray(summaries.map(({ sketch }) => sketch ?? noSketch)), textArray(units)];
}
