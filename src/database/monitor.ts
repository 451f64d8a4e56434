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
import { Client } from 'pg';
import type { Failure } from '../domain/failure.ts';
import { type ConnectionTimeouts, connectionOptions } from './connection-options.ts';
import { databaseFailure } from './sqlstate.ts';
import type { TlsAttempt } from './tls.ts';

/** Short, so that readiness and status are true to within a second; one trivial query costs nothing. */
const lookEveryMs = 1_000;

/** Shorter while it is down: the first database back serves at once. A refused connection costs little. */
const retryEveryMs = 500;

/** However many failed writes ask for a look, there are at most twenty a second. */
const lookGapMinMs = 50;

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
  /** Runs on every new connection before it counts as up. */
  readonly prepare: (inspection: Inspection) => Promise<void>;
  readonly onUp: (inspection: Inspection) => void;
  readonly onDown: (failure: Failure) => void;
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
export function createMonitor({ url, attempts, timeouts, prepare, onUp, onDown }: MonitorOptions): Monitor {
  const stopped = new AbortController();
  let wake = new AbortController();
  let connection: { client: Client; attempt: TlsAttempt } | undefined;
  /** Left to the next look: the one under way would fail, and the database pass for down. */
  let isAnewWanted = false;
  let running: Promise<void> = Promise.resolve();

  const closeConnection = () => {
    // Not waited for: a frozen server never answers the goodbye. pg destroys the socket of a query in progress.
    connection?.client.end().catch(() => undefined);
    connection = undefined;
  };

  const onEnded = (client: Client) => client === connection?.client && lookNow({ anew: true });

  const inspectAndReport = async () => {
    const isNew = connection === undefined;
    connection ??= await connect(url, attempts, timeouts, onEnded);
    const inspection = await inspect(connection.client, connection.attempt);
    if (isNew) await prepare(inspection);
    if (!stopped.signal.aborted) onUp(inspection);
    // A session keeps the default that it began with: only a new one sees that the database takes writes again.
    if (inspection.readOnly && !inspection.inRecovery) closeConnection();
  };

  const look = async (): Promise<number> => {
    if (isAnewWanted) closeConnection();
    isAnewWanted = false;
    const wasConnected = connection !== undefined;
    try {
      await inspectAndReport();
      return lookEveryMs;
    } catch (error) {
      closeConnection();
      const failure = databaseFailure(error);
      // That a connection was ended says little: whether a new one can be had tells.
      if (wasConnected && failure.code === 'unreachable') return look();
      if (!stopped.signal.aborted) onDown(failure);
      return retryEveryMs;
    }
  };

  const run = async (firstPauseMs: number) => {
    for (let pauseMs = firstPauseMs; !stopped.signal.aborted; ) {
      await pauseAbout(pauseMs, AbortSignal.any([wake.signal, stopped.signal]));
      wake = new AbortController();
      if (!stopped.signal.aborted) pauseMs = await look();
    }
  };

  const lookNow = ({ anew } = { anew: false }) => {
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
 * Connects by the first way that works. Rejects with what the last one raised.
 *
 * @param onError Is told of an error of the connection while nothing is asked on it.
 */
export async function connect(
  url: URL,
  attempts: readonly TlsAttempt[],
  timeouts: ConnectionTimeouts,
  onError: (client: Client) => void = () => undefined,
): Promise<{ client: Client; attempt: TlsAttempt }> {
  let reason: unknown;
  for (const attempt of attempts) {
    const client = new Client(connectionOptions(url, attempt, timeouts));
    // Without a listener, the end of an idle connection would end the process.
    client.on('error', () => onError(client));
    try {
      await client.connect();
      return { client, attempt };
    } catch (error) {
      reason = error;
      // Only a refusal of this way of connecting is a reason to try the other.
      if (!['tls', 'authentication'].includes(databaseFailure(error).code)) break;
    }
  }
  throw reason;
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
