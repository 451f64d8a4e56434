/**
 * Watches one database over one connection of its own: whether it answers, how fast, and whether it takes writes.
 *
 * 1. Connect, by each way that its sslmode allows.
 * 2. Prepare it: migrate, claim its identity. Every new connection does so again, since the server behind a URL may
 *    have been emptied, restored or replaced meanwhile.
 * 3. Ask for its state every second, on the same connection.
 * 4. Whatever fails: close, report, go to 1 after a pause.
 *
 * While a database is down this is the one connection that tries it; everybody else is told at once. A single failed
 * write does not decide that: it only makes the next look come at once (`lookNow`).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { Failure, isForOperator } from '../domain/failure.ts';
import { type Connection, connect } from './connect.ts';
import type { ConnectionTimeouts } from './connection-options.ts';
import { databaseFailure } from './sqlstate.ts';
import type { TlsAttempt } from './tls.ts';

/** Short, so that readiness and status are true to within a second; one trivial query costs nothing. */
const lookEveryMs = 1_000;

/** Shorter while it is down: the first database back serves at once. A refused connection costs little. */
const retryEveryMs = 500;

/**
 * What only an operator can mend is tried ever more rarely: each try is a failed login in the server's log, and some
 * servers shut out who makes too many. Still within the minute in which a database that is mended is to catch up.
 */
const mendedPauseMinMs = 2_000;
const mendedPauseMaxMs = 15_000;

/** However many failed writes ask for a look, there are at most twenty a second. */
const lookGapMinMs = 50;

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
  readonly roundTripMs: number;
  /** The way that its sslmode allows and that worked. */
  readonly attempt: TlsAttempt;
}

export interface MonitorOptions {
  readonly url: URL;
  readonly attempts: readonly TlsAttempt[];
  readonly timeouts: ConnectionTimeouts;
  /** Runs on every new connection before it counts as up; what it waits for is over when the signal comes. */
  readonly prepare: (inspection: Inspection, signal: AbortSignal) => Promise<void>;
  readonly onUp: (inspection: Inspection) => void;
  readonly onDown: (failure: Failure) => void;
  /** The connection was ended by the other side, or on the way: so may others have been. */
  readonly onLost: (cause: Error) => void;
}

/** A watch over one database, on a connection of its own. */
export interface Monitor {
  /** Resolves after the first look, whatever it found. */
  start(): Promise<void>;
  /** Makes the next look come at once; `anew` closes the connection first, so that the database is prepared again. */
  lookNow(options?: { anew: boolean }): void;
  stop(): Promise<void>;
}

/** Looks at a database again and again, and reports what it found: up after every look that worked, down after each other. */
export function createMonitor({ url, attempts, timeouts, prepare, ...on }: MonitorOptions): Monitor {
  const stopped = new AbortController();
  let wake = new AbortController();
  let connection: Connection | undefined;
  /** Left to the next look: the one under way would fail, and the database pass for down. */
  let isAnewWanted = false;
  let connectedAtMs = Number.NEGATIVE_INFINITY;
  let isDown = false;
  let mendedPauseMs = mendedPauseMinMs;
  let running: Promise<void> = Promise.resolve();

  const closeConnection = () => {
    connection?.end();
    connection = undefined;
  };

  const onEnded = (client: Client, cause: Error) => {
    if (client !== connection?.client) return;
    on.onLost(cause);
    lookNow({ anew: true });
  };

  const inspectAndReport = async () => {
    const isNew = connection === undefined;
    connection ??= await connect(url, attempts, timeouts, onEnded);
    const { client, attempt } = connection;
    const inspection = await inspect(client, attempt);
    if (isNew) {
      connectedAtMs = performance.now();
      await whileAnswering(client, (signal) => prepare(inspection, signal));
    }
    isDown = false;
    mendedPauseMs = mendedPauseMinMs;
    if (!stopped.signal.aborted) on.onUp(inspection);
    // A session keeps the default that it began with: only a new one sees that the database takes writes again.
    if (inspection.readOnly && !inspection.inRecovery) closeConnection();
  };

  /** Closes a connection that is to be made anew. @returns How long that must wait still, else 0. */
  const closeStale = (): number => {
    if (!isAnewWanted) return 0;
    const waitMs = connectedAtMs + connectGapMinMs - performance.now();
    if (waitMs > 0) return waitMs;
    closeConnection();
    isAnewWanted = false;
    return 0;
  };

  const look = async (): Promise<number> => {
    const waitMs = closeStale();
    if (waitMs > 0) return waitMs;
    const wasConnected = connection !== undefined;
    try {
      await inspectAndReport();
      return lookEveryMs;
    } catch (error) {
      closeConnection();
      const failure = databaseFailure(error);
      // That a connection was ended says little: whether a new one can be had tells.
      if (wasConnected && failure.code === 'unreachable') return look();
      isDown = true;
      if (!stopped.signal.aborted) on.onDown(failure);
      return isForOperator(failure) ? nextMendedPause() : retryEveryMs;
    }
  };

  const nextMendedPause = () => {
    const pauseMs = mendedPauseMs;
    mendedPauseMs = Math.min(mendedPauseMaxMs, 2 * pauseMs);
    return pauseMs;
  };

  const run = async (firstPauseMs: number) => {
    for (let pauseMs = firstPauseMs; !stopped.signal.aborted; ) {
      await pauseAbout(pauseMs, AbortSignal.any([wake.signal, stopped.signal]));
      wake = new AbortController();
      if (!stopped.signal.aborted) pauseMs = await look();
    }
  };

  const lookNow = ({ anew } = { anew: false }) => {
    // The next look connects anyway, and not before its time.
    if (isDown) return;
    isAnewWanted ||= anew;
    wake.abort();
  };

  return {
    async start() {
      const firstLook = look();
      running = firstLook.then(run);
      await firstLook;
    },
    lookNow,
    stop() {
      stopped.abort();
      return running.then(closeConnection);
    },
  };
}

/** With jitter, so that the processes of a fleet do not knock all at once on a database that returns. */
async function pauseAbout(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
  await sleep(lookGapMinMs);
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

async function inspect(client: Client, attempt: TlsAttempt): Promise<Inspection> {
  const begun = performance.now();
  const { rows } = await client.query<{ version: string; in_recovery: boolean; read_only: boolean; fsync: boolean }>(
    `select current_setting('server_version') as version, current_setting('fsync')::bool as fsync,
       pg_is_in_recovery() as in_recovery, current_setting('transaction_read_only')::bool as read_only`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('BUG: a select without from gave no row');
  const roundTripMs = performance.now() - begun;
  const { version, in_recovery: inRecovery, read_only, fsync } = row;
  return { version, readOnly: inRecovery || read_only, inRecovery, fsync, roundTripMs, attempt };
}
