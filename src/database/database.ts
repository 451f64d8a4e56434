import type { QueryResult } from 'pg';
import { Failure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { createMonitor, type Inspection } from './monitor.ts';
import { createPools, type Pools, type Purpose, type Statement, splitPool } from './pools.ts';
import { prepareDatabase } from './prepare-database.ts';
import { databaseFailure } from './sqlstate.ts';
import { type SslMode, tlsAttempts } from './tls.ts';

export type DatabaseState = 'starting' | 'up' | 'read_only' | 'down' | 'refused';

/** One database as `/-/status` shows it. */
export interface DatabaseStatus {
  readonly name: string;
  readonly state: DatabaseState;
  /** The last failure of a look, a write or a read; null: none since start. */
  readonly lastFailure: { readonly code: string; readonly message: string; readonly at: string } | null;
  readonly roundTripMs: number | null;
  readonly version: string | null;
  readonly tls: string | null;
  /** False: the server acknowledges commits that are not on disk, and a power failure loses them. */
  readonly fsync: boolean | null;
}

export interface DatabaseOptions {
  /** `db1 … dbN`: what logs, metrics and answers call it. */
  readonly name: string;
  readonly url: URL;
  /** For a URL that names no sslmode. */
  readonly sslMode?: SslMode;
  /** Connections of writes and reads together; one more watches the database. */
  readonly poolSizeMax: number;
  readonly connectTimeoutMs: number;
  /** How long one statement may take, by purpose. */
  readonly timeoutMs: Readonly<Record<Purpose, number>>;
  /** Takes note of the identity that a database carries. Throws a Failure when another one has it. */
  readonly claimIdentity: (name: string, identity: string) => void;
  readonly observe: Observe;
}

/** One PostgreSQL database: its connections, its health, its schema. */
export interface Database {
  readonly name: string;
  /** How many writes can be under way at once. */
  readonly writersMax: number;
  /** Connects, migrates and begins to watch. Resolves after the first try, also when that failed. */
  start(): Promise<void>;
  /**
   * Runs one statement. Rejects with a Failure: at once while the database is known to be down, else within the
   * connect timeout plus the statement's. A statement that timed out may still have been executed.
   */
  query(purpose: Purpose, statement: Statement): Promise<QueryResult>;
  status(): DatabaseStatus;
  /** Ends all connections. The caller bounds the wait. */
  close(): Promise<void>;
}

export function createDatabase(options: DatabaseOptions): Database {
  const { name, url, observe, connectTimeoutMs } = options;
  let state: DatabaseState = 'starting';
  let inspection: Inspection | undefined;
  let failed: { failure: Failure; at: Date } | undefined;
  let succeededAtMs = Number.NEGATIVE_INFINITY;
  let pools: Pools | undefined;

  const goUp = (found: Inspection) => {
    const { version, readOnly, attempt } = found;
    const next = readOnly ? 'read_only' : 'up';
    if (state !== next) observe({ type: 'database_up', database: name, version, readOnly, tls: attempt.state });
    [state, inspection] = [next, found];
    pools ??= createPools({
      ...options,
      attempt,
      sizeMax: options.poolSizeMax,
      onConnectionLost: (cause) => observe({ type: 'connection_lost', database: name, cause }),
    });
  };

  const goDown = (failure: Failure) => {
    failed = { failure, at: new Date() };
    // On a machine short of time a look may come too late although work gets through: then it proves nothing.
    if (failure.code === 'timeout' && performance.now() - succeededAtMs < connectTimeoutMs) return;
    const next = isRefusal(failure) ? 'refused' : 'down';
    if (state !== next) observe({ type: 'database_down', database: name, failure });
    state = next;
    // Connections to a server that went away are of no use when it returns.
    void pools?.close();
    pools = undefined;
  };

  const monitor = createMonitor({
    url,
    attempts: tlsAttempts(url, options.sslMode),
    timeouts: { connectTimeoutMs, statementTimeoutMs: connectTimeoutMs, queryTimeoutMs: connectTimeoutMs },
    prepare: (found) => prepareDatabase(options, found),
    onUp: goUp,
    onDown: goDown,
  });

  return {
    name,
    writersMax: splitPool(options.poolSizeMax).write,
    start: monitor.start,
    async query(purpose, statement) {
      if (state === 'read_only' && purpose === 'write') throw new Failure('read_only', 'is read-only');
      if (!pools) throw failed?.failure ?? new Failure('starting', 'has not been reached yet');
      try {
        const result = await pools.run(purpose, statement);
        succeededAtMs = performance.now();
        return result;
      } catch (error) {
        const failure = databaseFailure(error);
        if (isPartOfWork(failure)) throw failure;
        failed = { failure, at: new Date() };
        monitor.lookNow({ anew: failure.code === 'schema_missing' });
        throw failure;
      }
    },
    status: () => ({ name, state, ...describe(inspection), lastFailure: describeFailure(failed) }),
    async close() {
      await monitor.stop();
      await pools?.close();
    },
  };
}

function describe(found: Inspection | undefined): Pick<DatabaseStatus, 'roundTripMs' | 'version' | 'tls' | 'fsync'> {
  if (!found) return { roundTripMs: null, version: null, tls: null, fsync: null };
  const { roundTripMs, version, attempt, fsync } = found;
  return { roundTripMs: Math.round(roundTripMs * 100) / 100, version, tls: attempt.state, fsync };
}

function describeFailure(failed: { failure: Failure; at: Date } | undefined): DatabaseStatus['lastFailure'] {
  return failed ? { code: failed.failure.code, message: failed.failure.message, at: failed.at.toISOString() } : null;
}

/** Failures that only an operator can mend. */
function isRefusal({ code }: Failure): boolean {
  return code === 'schema_newer' || code === 'unsupported_database' || code === 'duplicate_database';
}

/** Failures that say nothing about the health of a database: the caller mends them, or its user does. */
function isPartOfWork({ code }: Failure): boolean {
  return ['series_missing', 'partition_missing', 'invalid_pattern', 'data_refused', 'conflict'].includes(code);
}
