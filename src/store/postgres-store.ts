/**
 * One database as a store.
 *
 * A write is one statement, so one round trip and one transaction: it looks the names up in the dictionary and inserts
 * the summaries. What may be missing is found out by the statement failing, not by asking first:
 *
 * 1. Insert. Usually that is all.
 * 2. A name that is not in the dictionary gives a null series_id: add all names of the batch, go to 1.
 * 3. A bucket without a partition: create the weeks of the batch, go to 1.
 *
 * Nothing about the database is remembered here, so that nothing remembered can be wrong after it was emptied,
 * restored or replaced behind our back.
 *
 * Refused, each measured as a share of the processor time that a write takes in the service and both databases together:
 *
 * - To remember the ids of names. That saves 3 % at 64 clients with one summary each and at most 5 % in arrays of 1,000,
 *   while after a restore a remembered id may be that of another name.
 * - COPY binary after the names were looked up. That saves less than 10 %: of PostgreSQL's 2.7 µs a summary, 0.1 in
 *   batches of 1,000 and 0.2 in batches of 5,000. It costs a round trip more, and knows no ON CONFLICT.
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
import { Failure, type FailureCode, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { noSketch } from '../domain/sketch.ts';
import type { Completeness, Store } from '../domain/store.ts';
import { type Summary, statisticNames } from '../domain/summary.ts';
import { summaryToJson } from '../domain/summary-json.ts';
import { createGroupCommit } from './group-commit.ts';
import type { ReadSpans } from './merge-rows.ts';
import { aggregatePages } from './postgres-aggregate.ts';
import { findNames } from './postgres-names.ts';
import { rowsMax, selectSpansStatement, selectStatement, toSummary } from './select-statements.ts';

/** New name, new week, and a race lost for each; whoever still fails then has another reason. */
const attemptsMax = 5;

/** What may wait for one database, so that a frozen one holds bounded memory: some 130 MB of single writes. */
const summariesPendingMax = 100_000;

/** And of their sketches, which are some hundred bytes as a rule, and thousands of those who send many different values. */
const sketchBytesPendingMax = 32 * 1_024 * 1_024;

/** One commit waits for the disk while the next one is computed; more of them only make the batches smaller. */
const commitsAtOnceMax = 2;

/**
 * Below it, what two small commits cost the processors is more than what waiting for the disk leaves idle. Measured at
 * 64 clients with one summary each: service and databases together took 48 µs a write with this bound, and 56 µs where
 * two ran at once whenever they could.
 */
const pendingMin = 500;

/** A transaction of a few milliseconds; larger ones gain nothing more. */
const batchMax = 5_000;

const columns = ['bucket', 'id', ...statisticNames] as const;
const statistics = statisticNames.map((name, index) => `unnest($${index + 5}::float8[]) as ${name}`).join(', ');

// Each distinct name is looked up once; the rows refer to it by its place in the list. The arrays are unnested side by
// side in a select list, which hands row after row on; in a `from`, each array would be written to a table first.
// An acknowledged commit is on disk, also when something between us and the server has changed the session.
function insertSummaries(more: readonly string[] = []): string {
  const inserted = [...columns, ...more];
  const sketches = more.map((name, index) => `, unnest($${index + 13}::bytea[]) as ${name}`).join('');
  return `
  insert into summaries (series_id, ${inserted.join(', ')})
  select names.ids[given.name], ${inserted.map((column) => `given.${column}`).join(', ')}
  from (select array_agg(series.id order by place) as ids, set_config('synchronous_commit', 'on', true) as durable
        from unnest($1::text[]) with ordinality as listed (name, place)
        left join series on series.name = listed.name) as names,
    (select unnest($2::int4[]) as name, unnest($3::timestamptz[]) as bucket, unnest($4::uuid[]) as id, ${statistics}${sketches})
      as given`;
}

// Locked in one order, so that two batches cannot wait for each other. Who knows no units changes none.
const noteUnits = `
  with changed as (
    select series.id, given.units
    from unnest($1::text[], $14::text[]) as given (name, units) join series on series.name = given.name
    where given.units <> '' and series.units is distinct from given.units
    order by series.id for no key update of series),
  noted as (update series set units = changed.units from changed where series.id = changed.id)`;

const [plain, rich] = [insertSummaries(), `${noteUnits} ${insertSummaries(['sketch'])}`];
// With its target: what another unique index refuses, an operator's, is not stored, and must not pass for it.
const unlessStored = 'on conflict (series_id, bucket, id) do nothing';

/** By whether any of the summaries has more than its statistics, and whether any may be stored already. */
const inserts = {
  plain: { name: 'insert_summaries', text: plain },
  plainAgain: { name: 'insert_summaries_again', text: `${plain} ${unlessStored}` },
  rich: { name: 'insert_rich_summaries', text: rich },
  richAgain: { name: 'insert_rich_summaries_again', text: `${rich} ${unlessStored}` },
} as const;

const insertNames = `
  insert into series (name)
  select distinct given.name from unnest($1::text[]) as given (name)
  where not exists (select from series where series.name = given.name)
  order by given.name -- Racing writers that take locks in one order cannot deadlock.
  on conflict (name) do nothing`;

const createWeeks = `
  select to_char(monday, 'YYYY-MM-DD') as monday from (
    select distinct date_trunc('week', to_timestamp(given.bucket) at time zone 'UTC')::date as monday
    from unnest($1::float8[]) as given (bucket)) as weeks
  where create_summaries_week(monday)`;

export interface PostgresStoreOptions {
  readonly database: Database;
  readonly observe: Observe;
}

/** The store of one database. */
export interface PostgresStore extends Store {
  /** Summaries that wait to be written or are being written. */
  pending(): number;
}

/** Creates the store of one database. Its calls reject with the Failure of that database; it tries no other. */
export function createPostgresStore({ database, observe }: PostgresStoreOptions): PostgresStore {
  /** What to do about a failed insert so that the next attempt succeeds; codes that are not here are final. */
  const remedies: Partial<Record<FailureCode, (summaries: readonly Summary[]) => Promise<unknown>>> = {
    series_missing: (summaries) =>
      database.query('write', { text: insertNames, values: [summaries.map(({ name }) => name)] }),
    async partition_missing(summaries) {
      const values = [summaries.map(({ bucket }) => bucket)];
      const { rows } = await database.query('write', { text: createWeeks, values });
      for (const { monday } of rows) observe({ type: 'partition_created', database: database.name, monday });
    },
    conflict: () => Promise.resolve(),
  };

  const commit = async (summaries: readonly Summary[]) => {
    const { first, again } = insertOf(summaries);
    let mayBeStored = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await database.query('write', mayBeStored ? again : first);
        return;
      } catch (error) {
        const failure = toFailure(error);
        const remedy = remedies[failure.code];
        if (remedy === undefined || attempt === attemptsMax) throw failure;
        mayBeStored ||= failure.code === 'conflict';
        await remedy(summaries);
      }
    }
  };

  const queue = createGroupCommit({
    commit,
    refuse: quarantineIn({ database, observe }),
    connections: Math.min(commitsAtOnceMax, database.writersMax),
    pendingMin,
    batchMax,
    pendingMax: summariesPendingMax,
    sketchBytesMax: sketchBytesPendingMax,
  });

  const complete: Completeness = { outcomes: [{ database: database.name, outcome: 'ok' }], complete: true };

  const readRows = async (statement: Statement): Promise<unknown[][]> => {
    const { rows } = await database.query('read', statement);
    if (rows.length <= rowsMax) return rows;
    throw new Failure('read_too_large', `more than ${rowsMax} rows: narrow the name, the time or the resolution`);
  };

  return {
    async write(summaries) {
      // Nobody waits behind the batches that a frozen database still holds.
      database.checkUsable('write');
      await queue.write(summaries);
      return { copies: 1, databases: 1 };
    },
    async select(query) {
      return { ...complete, summaries: (await readRows(selectStatement(query))).map(toSummary) };
    },
    async selectSpans(spans) {
      return { ...complete, summaries: (await readRows(selectSpansStatement(spans))).map(toSummary) };
    },
    async aggregate(query) {
      const readSpans: ReadSpans = async (spans) => (await this.selectSpans(spans)).summaries;
      return { ...complete, ...(await aggregatePages(database, query, readSpans)) };
    },
    names: async (query) => ({ ...complete, ...(await findNames(database, query)) }),
    pending: queue.pending,
    drain: queue.drain,
  };
}

/** For whoever operates the database to look into. It is of no consequence when that fails. */
function quarantineIn({ database, observe }: PostgresStoreOptions) {
  return async (summary: Summary, failure: Failure) => {
    observe({ type: 'quarantined', database: database.name, id: summary.id, failure });
    const error = failure.cause instanceof Error ? failure.cause.message : failure.message;
    const text = 'select quarantine_summary($1, $2, $3)';
    const values = [summary.id, summaryToJson(summary), error];
    await database.query('write', { text, values }).catch(() => undefined);
  };
}

/** The statement that stores some summaries, and the one for when some of them may be stored already. */
function insertOf(summaries: readonly Summary[]): { first: Statement; again: Statement } {
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
