import { Pool, type QueryConfig, type QueryResult } from 'pg';
import { connectionOptions } from './connection-options.ts';
import { isReportedByServer } from './sqlstate.ts';
import type { TlsAttempt } from './tls.ts';

/** Each purpose has connections of its own, so that slow reads and maintenance never keep a write waiting. */
export type Purpose = 'write' | 'read' | 'maintain';

/** A statement of `pg`; with `rowMode` its rows are arrays in the order of the columns. */
export type Statement = QueryConfig & { readonly rowMode?: 'array' };

/** With it the groups of a large read fit a hash table; with the default of 4 MB the planner sorts every row instead. */
const settings: Readonly<Record<Purpose, Readonly<Record<string, string>>>> = {
  read: { work_mem: '32MB' },
  write: {},
  maintain: {},
};

/** Idle connections are given back to servers whose plans count them. */
const idleTimeoutMs = 30_000;

/** Follows a host name that moved, even if nothing ever fails. */
const lifetimeSecondsMax = 3_600;

export interface PoolsOptions {
  readonly url: URL;
  readonly attempt: TlsAttempt;
  /** Connections of reads and writes together; maintenance has one more while it is at work. */
  readonly sizeMax: number;
  /** TCP, TLS and login together; also the longest wait for a free connection. */
  readonly connectTimeoutMs: number;
  /** How long one statement may take, by purpose. */
  readonly timeoutMs: Readonly<Record<Purpose, number>>;
  /** An idle connection ended; the pool has already let go of it. */
  readonly onConnectionLost: (cause: Error) => void;
}

/** The connections to one database while it is up. */
export interface Pools {
  /** Runs one statement. Rejects with what `pg` raises, within connect timeout plus the statement's and half a second. */
  run(purpose: Purpose, statement: Statement): Promise<QueryResult>;
  /** Ends idle connections now and the others when their statements end. */
  close(): Promise<void>;
}

/** How many of a database's connections serve each purpose: reads and writes half and half, and at least one. */
export function splitPool(sizeMax: number): Readonly<Record<Purpose, number>> {
  const read = Math.max(1, Math.floor(sizeMax / 2));
  return { read, write: Math.max(1, sizeMax - read), maintain: 1 };
}

/** Opens no connection yet: each is made when it is first needed. */
export function createPools(options: PoolsOptions): Pools {
  const { read, write, maintain } = splitPool(options.sizeMax);
  const pools: Readonly<Record<Purpose, Pool>> = {
    read: createPool('read', read, options),
    write: createPool('write', write, options),
    maintain: createPool('maintain', maintain, options),
  };
  return {
    run: (purpose, statement) => runStatement(pools[purpose], statement),
    async close() {
      await Promise.allSettled(Object.values(pools).map((pool) => pool.end()));
    },
  };
}

function createPool(purpose: Purpose, max: number, options: PoolsOptions): Pool {
  const { url, attempt, connectTimeoutMs, timeoutMs, onConnectionLost } = options;
  const timeouts = {
    connectTimeoutMs,
    statementTimeoutMs: timeoutMs[purpose],
    // A little later than the server's own, whose word about a slow statement leaves the connection usable.
    queryTimeoutMs: timeoutMs[purpose] + 500,
  };
  const pool = new Pool({
    ...connectionOptions(url, attempt, timeouts, settings[purpose]),
    max,
    min: 0,
    idleTimeoutMillis: idleTimeoutMs,
    maxLifetimeSeconds: lifetimeSecondsMax,
    allowExitOnIdle: false,
  });
  pool.on('error', onConnectionLost);
  // The pool listens only while a connection is idle; an error in use reaches us through its query as well.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Runs a statement on a connection of the pool; the connection survives only what the server itself reported. */
async function runStatement(pool: Pool, statement: Statement): Promise<QueryResult> {
  const client = await pool.connect();
  try {
    const result = await client.query(statement);
    client.release();
    return result;
  } catch (error) {
    // After a timeout of ours the answer may still arrive, and would be taken for that of the next statement.
    client.release(!isReportedByServer(error));
    throw error;
  }
}
