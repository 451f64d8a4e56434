import type { Socket } from 'node:net';
import type { PoolClient, QueryConfig, QueryResult } from 'pg';
import type { Failure } from '../domain/failure.ts';
import { type ConnectionPool, createConnectionPool } from './connection-pool.ts';
import { openCursor, type RowCursor } from './cursor.ts';
import { explainDenial } from './permissions.ts';
import { createSockets } from './sockets.ts';
import { databaseFailure, isReportedByServer, readinessFailure } from './sqlstate.ts';
import type { TlsAttempt } from './tls.ts';

/**
 * Each purpose has connections of its own, so that slow reads, maintenance and repair never keep a write waiting. `define` makes
 * the weeks and names that some writes need first: what it waits for, such as a lock, keeps no other write waiting either.
 */
export type Purpose = 'write' | 'define' | 'read' | 'maintain' | 'repair';

/** How long one statement may take, by purpose. */
export type StatementTimeouts = Readonly<Record<Exclude<Purpose, 'define' | 'repair'>, number>>;

/** A statement of `pg`; with `rowMode` its rows are arrays in the order of the columns. */
export type Statement = QueryConfig & { readonly rowMode?: 'array' };

/**
 * `work_mem`: with it the groups of a large read fit a hash table; with the default of 4 MB the planner sorts every row
 * instead. `jit`: takes longer to compile a read than most reads take. `lock_timeout`: several things are made on one connection,
 * so each gives way soon to the next and is tried again.
 */
const settings: Readonly<Record<Purpose, Readonly<Record<string, string>>>> = {
  read: { work_mem: '32MB', jit: 'off' },
  write: {},
  define: { lock_timeout: '100ms' },
  maintain: {},
  repair: { work_mem: '32MB', jit: 'off' },
};

/** Long enough for hours with millions of summaries; a connection that fell silent holds repair up no longer. */
const repairTimeoutMs = 20_000;

/** Repair reads what differs by one connection and who differs by another. */
const repairConnections = 2;

/** Our clock gives a statement a little longer than the server's, whose word about it leaves the connection usable. */
const queryMarginMs = 500;

export interface PoolsOptions {
  readonly url: URL;
  readonly attempt: TlsAttempt;
  /** Connections of reads and writes together; maintenance and repair have three more while they are at work. */
  readonly sizeMax: number;
  /** Where the tables are. */
  readonly schema: string | undefined;
  /** TCP, TLS and login together; also the longest wait for a free connection. */
  readonly connectTimeoutMs: number;
  readonly timeoutMs: StatementTimeouts;
  /** An idle connection ended; the pool has already let go of it. */
  readonly onConnectionLost: (cause: Error) => void;
}

/** The connections to one database while it is up. */
export interface Pools {
  /**
   * Runs one statement. Rejects with a Failure, or with what `pg` raises, within twice the connect timeout plus the
   * statement's and half a second.
   */
  run(purpose: Purpose, statement: Statement): Promise<QueryResult>;
  /** As `openCursor` does, on a connection of the purpose. */
  open(purpose: Purpose, statement: Statement): Promise<RowCursor>;
  /**
   * Ends idle connections now and the others when their statements end. After `graceMs`, those that are left are cut off,
   * whatever is under way on them and whether the server has heard of it or not. Resolves without waiting for that.
   */
  close(graceMs: number): Promise<void>;
}

/**
 * How many of a database's connections serve each purpose: half of them read, one makes weeks and names, the others write. Each of
 * these has at least one, so the smallest pool, of two, may have three.
 */
export function splitPool(sizeMax: number): Readonly<Record<Purpose, number>> {
  const read = Math.max(1, Math.floor(sizeMax / 2));
  const define = 1;
  return { read, write: Math.max(1, sizeMax - read - define), define, maintain: 1, repair: repairConnections };
}

/** Opens no connection yet: each is made when it is first needed. */
export function createPools(options: PoolsOptions): Pools {
  const { read, write, define, maintain, repair } = splitPool(options.sizeMax);
  const sockets = createSockets();
  const pools: Readonly<Record<Purpose, ConnectionPool>> = {
    read: poolFor('read', read, options, sockets.stream),
    write: poolFor('write', write, options, sockets.stream),
    define: poolFor('define', define, options, sockets.stream),
    maintain: poolFor('maintain', maintain, options, sockets.stream),
    repair: poolFor('repair', repair, options, sockets.stream),
  };
  return {
    run: (purpose, statement) => runStatement(pools[purpose], statement, options.schema),
    open: (purpose, statement) => openCursor(pools[purpose], statement),
    async close(graceMs) {
      setTimeout(sockets.destroy, graceMs).unref();
      await Promise.allSettled(Object.values(pools).map((pool) => pool.end()));
    },
  };
}

function timeoutOf(purpose: Purpose, { timeoutMs }: PoolsOptions): number {
  if (purpose === 'repair') return Math.min(repairTimeoutMs, timeoutMs.maintain);
  return timeoutMs[purpose === 'define' ? 'write' : purpose];
}

function poolFor(purpose: Purpose, sizeMax: number, options: PoolsOptions, stream: () => Socket): ConnectionPool {
  const { connectTimeoutMs } = options;
  const statementTimeoutMs = timeoutOf(purpose, options);
  const timeouts = { connectTimeoutMs, statementTimeoutMs, queryTimeoutMs: statementTimeoutMs + queryMarginMs };
  const pool = createConnectionPool({ ...options, timeouts, stream, settings: settings[purpose], sizeMax });
  const take = () =>
    pool.take().catch((error) => {
      throw readinessFailure(error);
    });
  return { ...pool, take };
}

/** Runs a statement on a connection of the pool; the connection survives only what the server itself reported. */
async function runStatement(
  pool: ConnectionPool,
  statement: Statement,
  schema: string | undefined,
): Promise<QueryResult> {
  const client = await pool.take();
  try {
    const result = await client.query(statement);
    client.release();
    return result;
  } catch (error) {
    const failure = databaseFailure(error);
    if (failure.code === 'permission_denied') throw await explainOn(client, schema, failure);
    // After a timeout of ours the answer may still arrive, and would be taken for that of the next statement.
    client.release(!isReportedByServer(error));
    throw failure;
  }
}

/** Asks the server what the role lacks; the connection goes, since nobody knows how that ended. */
async function explainOn(client: PoolClient, schema: string | undefined, failure: Failure): Promise<Failure> {
  try {
    return await explainDenial((text, values = []) => client.query(text, values), schema, failure);
  } finally {
    client.release(true);
  }
}
