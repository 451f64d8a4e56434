/**
 * The connections of one purpose to one database.
 *
 * A server that refuses a connection, because it has none left or the password is wrong, or that never greets it, is asked
 * for one at a time only, and ever more rarely. Meanwhile statements share the connections that there are, and fail at
 * once where there are none. Otherwise each of thousands of writes would knock, and each read wait for a greeting.
 */
import type { Socket } from 'node:net';
import { type Client, type ClientBase, Pool, type PoolClient } from 'pg';
import { createBackOff } from './back-off.ts';
import { connectionOptions } from './connection-options.ts';
import { beginSession, type SessionOptions } from './session.ts';
import type { TlsAttempt } from './tls.ts';

/** Idle connections are given back to servers whose plans count them. */
const idleTimeoutMs = 30_000;

/** Follows a host name that moved, even if nothing ever fails. */
const lifetimeSecondsMax = 3_600;

/** One reset in the middle of a login is hardly noticed; a server that goes on refusing is asked every few seconds. */
const refusedPauses = { firstMs: 100, maxMs: 5_000 };

/** What `pg` raises when no connection became free: nobody was asked for a new one. */
const noneFree = 'timeout exceeded when trying to connect';

export interface ConnectionPoolOptions extends SessionOptions {
  readonly attempt: TlsAttempt;
  readonly stream: () => Socket;
  readonly sizeMax: number;
  /** An idle connection ended; the pool has already let go of it. */
  readonly onConnectionLost: (cause: Error) => void;
}

/** Some connections, each lent to one statement at a time. */
export interface ConnectionPool {
  /** Lends a connection; who has it releases it. Rejects with what `pg` raises, within twice the connect timeout. */
  take(): Promise<PoolClient>;
  /** Ends idle connections now and the others when they are released. */
  end(): Promise<void>;
}

/** Opens no connection yet: each is made when it is first needed. */
export function createConnectionPool(options: ConnectionPoolOptions): ConnectionPool {
  const { url, attempt, timeouts, stream, sizeMax, onConnectionLost } = options;
  const refused = createBackOff(refusedPauses);
  let refusal: unknown;
  let isTrying = false;
  const pool = new Pool({
    ...connectionOptions(url, attempt, timeouts, stream),
    // Waited for, although the types say nothing of it.
    onConnect: (client: ClientBase) => beginSession(client as Client, options),
    max: sizeMax,
    min: 0,
    idleTimeoutMillis: idleTimeoutMs,
    maxLifetimeSeconds: lifetimeSecondsMax,
    allowExitOnIdle: false,
  });
  pool.on('error', onConnectionLost);
  pool.on('connect', (client) => {
    refused.noteSuccess();
    // The pool listens only while a connection is idle; an error in use reaches us through its query as well.
    client.on('error', ignore);
  });

  const lend = async (connectionsMax: number) => {
    pool.options.max = connectionsMax;
    try {
      return await pool.connect();
    } catch (error) {
      if (error instanceof Error && error.message === noneFree) throw error;
      refusal = error;
      refused.noteFailure();
      throw error;
    }
  };

  /** Asks a server for one more connection that has refused the last one. */
  const tryAgain = async () => {
    isTrying = true;
    return lend(pool.totalCount + 1).finally(() => {
      isTrying = false;
    });
  };

  return {
    async take() {
      if (!refused.hasFailed()) return lend(sizeMax);
      if (refused.isOver() && !isTrying && pool.idleCount === 0 && pool.totalCount < sizeMax) {
        if (pool.totalCount === 0) return tryAgain();
        // Nobody waits for what may never come.
        tryAgain().then((client) => client.release(), ignore);
      }
      if (pool.totalCount === (isTrying ? 1 : 0)) throw refusal;
      return lend(pool.totalCount);
    },
    end: () => pool.end(),
  };
}

function ignore(): void {}
