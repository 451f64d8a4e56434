import type { QueryResult } from 'pg';
import { type Failure, isForOperator } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { type ClockReading, clockOffset } from './clocks.ts';
import type { RowCursor } from './cursor.ts';
import type { Run } from './deletions.ts';
import { createHealth, type DatabaseStatus } from './health.ts';
import { createMonitor } from './monitor.ts';
import { createNotebook, type Notebook, type Notes } from './notes.ts';
import { type Purpose, type Statement, type StatementTimeouts, splitPool } from './pools.ts';
import { prepareDatabase } from './prepare-database.ts';
import { databaseFailure, isLocked } from './sqlstate.ts';
import { type SslMode, tlsAttempts } from './tls.ts';

/** A look is one question on an open connection, where to connect takes several on a new one. */
const lookTimeoutMs = 2_000;

export interface DatabaseOptions {
  /** `db1 … dbN`: what logs, metrics and answers call it. */
  readonly name: string;
  readonly url: URL;
  /** For a URL that names no sslmode. */
  readonly sslMode?: SslMode;
  /** Connections of writes and reads together; one more watches the database. */
  readonly poolSizeMax: number;
  readonly connectTimeoutMs: number;
  readonly timeoutMs: StatementTimeouts;
  /** Takes note of the identity that a database carries. Throws a Failure when another one has it. */
  readonly claimIdentity: (name: string, identity: string) => void;
  /** What is to be done with it whenever it has been connected to anew, before it is used. */
  readonly beforeUse?: (run: Run) => Promise<void>;
  /** Where it is to keep what it reads of other services; left out, it only reads. */
  readonly notebook?: Notebook;
  readonly observe: Observe;
}

/** One PostgreSQL database: its connections, its health, its schema. */
export interface Database {
  readonly name: string;
  /** How many writes can be under way at once. */
  readonly writersMax: number;
  /** Connects, migrates and begins to watch. Resolves after the first try, also when that failed. */
  start(): Promise<void>;
  /** Throws the Failure that a statement would meet at once: the database is known to be down, or not to take writes. */
  checkUsable(purpose: Purpose): void;
  /**
   * Runs one statement. Rejects with a Failure: at once while the database is known to be down, else within the
   * connect timeout plus the statement's. A statement that timed out may still have been executed.
   */
  query(purpose: Purpose, statement: Statement): Promise<QueryResult>;
  /** Begins a read whose rows are fetched by and by; both reject as `query` does. */
  open(purpose: Purpose, statement: Statement): Promise<RowCursor>;
  status(): DatabaseStatus;
  /** Undefined while it cannot be reached. */
  clock(): ClockReading | undefined;
  /** What services have noted in it, as it was read last; undefined: never. */
  notes(): Notes | undefined;
  /** Ends all connections. The caller bounds the wait. */
  close(): Promise<void>;
}

/** Creates a database that `start` is to connect. Its calls fail at once, with the reason, until it is up. */
export function createDatabase(options: DatabaseOptions): Database {
  const { name, url, connectTimeoutMs, notebook = createNotebook({ name }) } = options;
  const questionMs = Math.min(lookTimeoutMs, connectTimeoutMs);
  const health = createHealth(options);
  const { clock } = health;
  const monitor = createMonitor({
    url,
    attempts: tlsAttempts(url, options.sslMode),
    timeouts: { connectTimeoutMs, statementTimeoutMs: questionMs, queryTimeoutMs: questionMs },
    prepare: (found, signal) => prepareDatabase(options, found, signal),
    look: notebook.look,
    onUp: health.goUp,
    onDown: health.goDown,
    onLost: health.renewPools,
  });

  /** Takes note of how a statement fares. */
  const noting = async <Value>(purpose: Purpose, work: Promise<Value>): Promise<Value> => {
    try {
      const value = await work;
      health.noteSuccess(purpose);
      return value;
    } catch (error) {
      const failure = databaseFailure(error);
      if (isPartOfWork(failure)) throw failure;
      health.noteFailure(purpose, failure);
      monitor.lookNow({ anew: isOfNewSessions(purpose, failure) });
      throw failure;
    }
  };

  return {
    name,
    writersMax: splitPool(options.poolSizeMax).write,
    start: monitor.start,
    checkUsable: health.usablePools,
    async query(purpose, statement) {
      return noting(purpose, health.usablePools(purpose).run(purpose, statement));
    },
    async open(purpose, statement) {
      const cursor = await noting(purpose, health.usablePools(purpose).open(purpose, statement));
      return { read: (rowsMax) => noting(purpose, cursor.read(rowsMax)), close: cursor.close };
    },
    status: () => ({ ...health.status(), clockOffsetMs: offsetMs(clock()) }),
    clock,
    notes: notebook.latest,
    close: () => monitor.stop().then(health.dropPools),
  };
}

function offsetMs(clock: ClockReading | undefined): number | null {
  return clock === undefined ? null : Math.round(1_000 * clockOffset(clock, Date.now() / 1_000));
}

/** Failures that say nothing about the health of a database: the caller mends them, or its user does. */
function isPartOfWork(failure: Failure): boolean {
  const codes = ['series_missing', 'partition_missing', 'invalid_pattern', 'data_refused', 'conflict'];
  return codes.includes(failure.code) || isLocked(failure);
}

/** The session that watches cannot see what has changed for sessions that begin now. A role that must not make a week may write. */
function isOfNewSessions(purpose: Purpose, failure: Failure): boolean {
  const isOfSession = ['schema_missing', 'read_only', 'session_lost'].includes(failure.code);
  return isOfSession || (isForOperator(failure) && purpose !== 'define');
}
