/**
 * The one connection by which a database is watched, made anew whenever it is lost or the database may have changed under
 * it. Each new one prepares the database: the server behind a URL may have been emptied, restored or replaced meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { Failure } from '../domain/failure.ts';
import type { ClockReading } from './clocks.ts';
import { type Connection, connect } from './connect.ts';
import type { ConnectionTimeouts } from './connection-options.ts';
import type { Run } from './deletions.ts';
import { refuseSharedSessions } from './pooling.ts';
import { checkSession, identityColumns, type SessionIdentity } from './session.ts';
import type { TlsAttempt } from './tls.ts';

/** Connections are made no more often than this: to prepare a database costs more than to look at it. */
const connectGapMinMs = 1_000;

/** So many looks in a row must fail before a database that is being prepared passes for silent: it may be busy. */
const silentLooks = 3;
const silentLookEveryMs = 1_000;

/** What a database says of itself. */
export interface Inspection {
  readonly version: string;
  readonly readOnly: boolean;
  /** It is read-only as a standby, not because its sessions are told to be. */
  readonly inRecovery: boolean;
  readonly fsync: boolean;
  /** There is a pooler between us and the server. */
  readonly isPooled: boolean;
  /** Where the tables are, or are to be made; undefined: in none that its role may use. */
  readonly schema: string | undefined;
  readonly roundTripMs: number;
  readonly clock: ClockReading;
  /** The way that its sslmode allows and that worked. */
  readonly attempt: TlsAttempt;
}

export interface WatchedConnectionOptions {
  readonly url: URL;
  readonly attempts: readonly TlsAttempt[];
  readonly timeouts: ConnectionTimeouts;
  /**
   * Runs on every new connection before it counts as up, and when a standby has become a primary; what it waits for is over
   * when the signal comes.
   */
  readonly prepare: (inspection: Inspection, signal: AbortSignal) => Promise<void>;
  /** What else is to be done at each look, before the database counts as up. False: it must be prepared anew. */
  readonly look: (run: Run, found: { readonly isNew: boolean; readonly readOnly: boolean }) => Promise<boolean>;
  /** The connection was ended by the other side, or on the way. */
  readonly onLost: (cause: Error) => void;
}

/** A connection that comes and goes. */
export interface WatchedConnection {
  isOpen(): boolean;
  /** Asks the database about itself; connects and prepares it first where there is no connection. Rejects as `pg` does. */
  inspect(): Promise<Inspection>;
  /** Wants the next inspection to be on a new connection, as soon as one may be made. */
  wantAnew(): void;
  /** How long an inspection must wait for that. 0: not at all. */
  waitMs(): number;
  close(): void;
}

/** Connects at the first inspection. */
export function createWatchedConnection(options: WatchedConnectionOptions): WatchedConnection {
  const { url, attempts, timeouts, prepare, look, onLost } = options;
  let connection: Connection | undefined;
  let connectedAtMs = Number.NEGATIVE_INFINITY;
  let isAnewWanted = false;
  /** A standby is prepared for reads only. */
  let wasReadOnly = false;

  const close = () => {
    connection?.end();
    connection = undefined;
  };
  const onError = (client: Client, cause: Error) => {
    if (client === connection?.client) onLost(cause);
  };

  return {
    isOpen: () => connection !== undefined,
    async inspect() {
      if (isAnewWanted) close();
      isAnewWanted = false;
      const isNew = connection === undefined;
      connection ??= await connect(attempts, { url, timeouts }, onError);
      const { client } = connection;
      const inspection = await inspect(connection);
      if (isNew) {
        connectedAtMs = performance.now();
        await refuseShared(connection, url, timeouts);
      }
      const isPromoted = wasReadOnly && !inspection.readOnly;
      if (isNew || isPromoted) await whileAnswering(client, (signal) => prepare(inspection, signal));
      const run: Run = (text, values) => client.query(text, values);
      const isWhole = await look(run, { isNew: isNew || isPromoted, readOnly: inspection.readOnly });
      if (!isWhole && !isNew) isAnewWanted = true;
      wasReadOnly = inspection.readOnly;
      // A session keeps the default that it began with: only a new one sees that the database takes writes again.
      if (inspection.readOnly && !inspection.inRecovery) close();
      return inspection;
    },
    wantAnew() {
      isAnewWanted = true;
    },
    waitMs: () => (isAnewWanted ? Math.max(0, connectedAtMs + connectGapMinMs - performance.now()) : 0),
    close,
  };
}

/** @throws Failure `unsupported_database` for a pooler that gives a connection another session from time to time. */
async function refuseShared(connection: Connection, url: URL, timeouts: ConnectionTimeouts): Promise<void> {
  const { session, attempt } = connection;
  if (!session.isPooled) return;
  await refuseSharedSessions(connection, () => connect([attempt], { url, timeouts, schema: session.schema }));
}

/**
 * Does work on another connection for as long as this one answers: a server that falls silent in the midst of it, or whose
 * network forgets the connections, would hold a migration for its whole time, and the database would be left out.
 */
async function whileAnswering(client: Client, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const done = new AbortController();
  const silent = new AbortController();
  const watch = async () => {
    for (let missed = 0; missed < silentLooks; ) {
      await sleep(silentLookEveryMs, undefined, { signal: done.signal });
      missed = await client.query('select').then(
        () => 0,
        () => missed + 1,
      );
    }
    throw new Failure('timeout', 'fell silent while it was prepared');
  };
  try {
    await Promise.race([work(silent.signal), watch()]);
  } catch (error) {
    silent.abort();
    throw error;
  } finally {
    done.abort();
  }
}

interface InspectionRow extends SessionIdentity {
  readonly version: string;
  readonly in_recovery: boolean;
  readonly read_only: boolean;
  readonly fsync: boolean;
  readonly seconds: number;
}

async function inspect({ client, session, attempt }: Connection): Promise<Inspection> {
  const begun = performance.now();
  const { rows } = await client.query<InspectionRow>(
    `select current_setting('server_version') as version, current_setting('fsync')::bool as fsync,
       pg_is_in_recovery() as in_recovery, current_setting('transaction_read_only')::bool as read_only,
       date_part('epoch', clock_timestamp()) as seconds, ${identityColumns}`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('BUG: a select without from gave no row');
  checkSession(session, row);
  const roundTripMs = performance.now() - begun;
  const { version, in_recovery: inRecovery, read_only, fsync, seconds } = row;
  const { isPooled, schema } = session;
  const clock = { seconds, atMs: begun + roundTripMs / 2, errorMs: roundTripMs / 2 };
  return {
    version,
    readOnly: inRecovery || read_only,
    inRecovery,
    fsync,
    isPooled,
    schema,
    roundTripMs,
    clock,
    attempt,
  };
}
