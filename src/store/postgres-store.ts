/**
 * One database as a store.
 *
 * A write is one statement, so one round trip and one transaction: it looks the names up in the dictionary and inserts
 * the summaries. What may be missing is found out by the statement failing, not by asking first: a name that is not in the
 * dictionary gives a null series_id, a bucket may have no partition. Then those writes that need it leave the batch, and wait until
 * it is made (`prerequisites.ts`).
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
import type { Database } from '../database/database.ts';
import type { Statement } from '../database/pools.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Completeness, Span, Store } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';
import { summaryToJson } from '../domain/summary-json.ts';
import { createGroupCommit } from './group-commit.ts';
import { createInsert } from './insert-summaries.ts';
import type { ReadSpans } from './merge-rows.ts';
import { aggregatePages } from './postgres-aggregate.ts';
import { findNames } from './postgres-names.ts';
import { createPrerequisites } from './prerequisites.ts';
import {
  type HeldSummary,
  rowsMax,
  selectHeldStatement,
  selectSpansStatement,
  selectStatement,
  toHeld,
  toSummary,
  unitsStatement,
} from './select-statements.ts';
import { createUnits } from './units.ts';

/** Where nobody says how long a write may take. */
const defaultWaitMs = 2_000;

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

export interface PostgresStoreOptions {
  readonly database: Database;
  /** How long a write may wait for a name or a week that it needs. */
  readonly waitMs?: number;
  readonly observe: Observe;
}

/** A summary, and when it was received by this process or another. */
export interface ArrivedSummary {
  readonly summary: Summary;
  /** By `performance.now()`; minus infinity: nobody knows. */
  readonly receivedAtMs: number;
}

/** The store of one database. */
export interface PostgresStore extends Store {
  /** Summaries that wait to be written or are being written. */
  pending(): number;
  /** As `selectSpans`, with what it takes to copy them. */
  selectHeld(spans: readonly Span[]): Promise<readonly HeldSummary[]>;
  /**
   * As `write`, of summaries of other databases: they keep the time at which they were received.
   *
   * @param judged Deletions that cover none of them, as the caller knows. What others cover is left out.
   */
  copy(summaries: readonly ArrivedSummary[], judged: readonly string[]): Promise<void>;
}

/** Creates the store of one database. Its calls reject with the Failure of that database; it tries no other. */
export function createPostgresStore(options: PostgresStoreOptions): PostgresStore {
  const { database, waitMs = defaultWaitMs, observe } = options;
  const units = createUnits(database);
  const insert = createInsert(database);

  const queue = createGroupCommit({
    commit: async (received) => units.toBeNoted(await insert(received)),
    prerequisites: createPrerequisites({ database, observe }),
    waitMs,
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
      await queue.write(summaries).finally(() => units.note(summaries));
      return { copies: 1, databases: 1 };
    },
    select: async (query) => ({ ...complete, summaries: (await readRows(selectStatement(query))).map(toSummary) }),
    async selectSpans(spans) {
      return { ...complete, summaries: (await readRows(selectSpansStatement(spans))).map(toSummary) };
    },
    selectHeld: async (spans) => (await readRows(selectHeldStatement(spans))).map(toHeld),
    async copy(summaries, judged) {
      database.checkUsable('write');
      const writes = summaries.map(({ summary, receivedAtMs }) => queue.write([summary], { receivedAtMs, judged }));
      const settled = await Promise.allSettled(writes);
      await units.note(summaries.map(({ summary }) => summary));
      throwRefused(settled);
    },
    async aggregate(query) {
      const readSpans: ReadSpans = async (spans) => (await this.selectSpans(spans)).summaries;
      return { ...complete, ...(await aggregatePages(database, query, readSpans)) };
    },
    names: async (query) => ({ ...complete, ...(await findNames(database, query)) }),
    units: async (names) => new Map((await database.query('read', unitsStatement(names))).rows),
    pending: queue.pending,
    drain: queue.drain,
  };
}

/** @throws Failure of the first write that failed for another reason than its data, else one that tells which were refused. */
function throwRefused(settled: readonly PromiseSettledResult<void>[]): void {
  const failures = settled.flatMap((one, index) =>
    one.status === 'rejected' ? [{ path: String(index), failure: toFailure(one.reason) }] : [],
  );
  const [first] = failures;
  if (first === undefined) return;
  const problems = failures.map(({ path, failure: { message } }) => ({ path, message }));
  const other = failures.find(({ failure }) => failure.code !== 'data_refused');
  const message = `refused ${failures.length} of ${settled.length} summaries`;
  throw other?.failure ?? new Failure('data_refused', message, { cause: first.failure, problems });
}

/** For whoever operates the database to look into. It is of no consequence when that fails. */
function quarantineIn({ database, observe }: PostgresStoreOptions) {
  return async (summary: Summary, failure: Failure) => {
    observe({ type: 'quarantined', database: database.name, id: summary.id, failure });
    const error = failure.cause instanceof Error ? failure.cause.message : failure.message;
    const text = 'select quarantine_summary($1, $2, $3)';
    const values = [summary.id, summaryToJson(summary), error];
    await database.query('define', { text, values }).catch(() => undefined);
  };
}
