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
import type { Statement } from '../database/pools.ts';
import { noSketch } from '../domain/sketch.ts';
import { type Summary, statisticNames } from '../domain/summary.ts';

const columns = ['bucket', 'id', ...statisticNames] as const;
const statistics = statisticNames.map((name, index) => `unnest($${index + 5}::float8[]) as ${name}`).join(', ');

const durable = "set_config('synchronous_commit', 'on', true) as durable";

// Each distinct name is looked up once; the rows refer to it by its place in the list. The arrays are unnested side by
// side in a select list, which hands row after row on; in a `from`, each array would be written to a table first.
// An acknowledged commit is on disk, also when something between us and the server has changed the session.
function insertSummaries(ids: string, more: readonly string[] = []): string {
  const inserted = [...columns, ...more];
  const sketches = more.map((name, index) => `, unnest($${index + 13}::bytea[]) as ${name}`).join('');
  return `
  insert into summaries (series_id, ${inserted.join(', ')})
  select names.ids[given.name], ${inserted.map((column) => `given.${column}`).join(', ')}
  from (${ids}) as names,
    (select unnest($2::int4[]) as name, unnest($3::timestamptz[]) as bucket, unnest($4::uuid[]) as id, ${statistics}${sketches})
      as given`;
}

const plain = insertSummaries(`
  select array_agg(series.id order by place) as ids, ${durable}
  from unnest($1::text[]) with ordinality as listed (name, place)
  left join series on series.name = listed.name`);

// Also gives the units that are other ones than those that the series has: they are noted afterwards.
function insertRich(onConflict = ''): string {
  return `
  with listed as materialized (
      select place, listed.name, listed.units, series.id, series.units as noted
      from unnest($1::text[], $14::text[]) with ordinality as listed (name, units, place)
      left join series on series.name = listed.name),
    inserted as (
      ${insertSummaries(`select array_agg(id order by place) as ids, ${durable} from listed`, ['sketch'])} ${onConflict})
  select name, units from listed where units <> '' and noted is distinct from units`;
}

// With its target: what another unique index refuses, an operator's, is not stored, and must not pass for it.
const unlessStored = 'on conflict (series_id, bucket, id) do nothing';

/** By whether any of the summaries has more than its statistics, and whether any may be stored already. */
const inserts = {
  plain: { name: 'insert_summaries', text: plain },
  plainAgain: { name: 'insert_summaries_again', text: `${plain} ${unlessStored}` },
  rich: { name: 'insert_rich_summaries', text: insertRich() },
  richAgain: { name: 'insert_rich_summaries_again', text: insertRich(unlessStored) },
} as const;

/** The statement that stores some summaries, and the one for when some of them may be stored already. */
export function insertOf(summaries: readonly Summary[]): { first: Statement; again: Statement } {
  const isRich = summaries.some(({ sketch, units }) => sketch !== undefined || units !== undefined);
  if (!isRich) {
    const { values } = encode(summaries);
    return { first: { ...inserts.plain, values }, again: { ...inserts.plainAgain, values } };
  }
  const values = encodeRich(summaries);
  return { first: { ...inserts.rich, values }, again: { ...inserts.richAgain, values } };
}

/** The parameters of the plain insert, and the place of each name in the first of them. */
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

/** The parameters of the rich insert. */
function encodeRich(summaries: readonly Summary[]): Buffer[] {
  const { values, placeOf } = encode(summaries);
  const unitsOf = new Map(summaries.flatMap(({ name, units }) => (units === undefined ? [] : [[name, units]])));
  const units = [...placeOf.keys()].map((name) => unitsOf.get(name) ?? '');
  return [...values, byteaArray(summaries.map(({ sketch }) => sketch ?? noSketch)), textArray(units)];
}
