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
import { type Failure, isForOperator } from '../domain/failure.ts';
import { readinessFailure } from './sqlstate.ts';
import { createWatchedConnection, type Inspection, type WatchedConnectionOptions } from './watched-connection.ts';

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

export interface MonitorOptions extends WatchedConnectionOptions {
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
export function createMonitor({ onUp, onDown, onLost, ...options }: MonitorOptions): Monitor {
  const stopped = new AbortController();
  let wake = new AbortController();
  let isDown = false;
  const pauses = createPauses();
  let running: Promise<void> = Promise.resolve();

  const lookNow = ({ anew } = { anew: false }) => {
    // The next look connects anyway, and not before its time.
    if (isDown) return;
    if (anew) connection.wantAnew();
    wake.abort();
  };

  const noteLost = (cause: Error) => {
    onLost(cause);
    lookNow({ anew: true });
  };
  const connection = createWatchedConnection({ ...options, onLost: noteLost });

  const noteUp = (inspection: Inspection) => {
    isDown = false;
    pauses.reset();
    if (!stopped.signal.aborted) onUp(inspection);
  };

  /** @returns How long to pause. */
  const noteDown = (failure: Failure): number => {
    isDown = true;
    if (!stopped.signal.aborted) onDown(failure);
    return isForOperator(failure) ? pauses.next() : retryEveryMs;
  };

  const look = async (): Promise<number> => {
    const waitMs = connection.waitMs();
    if (waitMs > 0) return waitMs;
    const wasOpen = connection.isOpen();
    try {
      noteUp(await connection.inspect());
      return lookEveryMs;
    } catch (error) {
      connection.close();
      const failure = readinessFailure(error);
      // That a connection was ended says little: whether a new one can be had tells.
      return wasOpen && failure.code === 'unreachable' ? look() : noteDown(failure);
    }
  };

  const run = async (firstPauseMs: number) => {
    for (let pauseMs = firstPauseMs; !stopped.signal.aborted; ) {
      await pauseAbout(pauseMs, AbortSignal.any([wake.signal, stopped.signal]));
      wake = new AbortController();
      if (!stopped.signal.aborted) pauseMs = await look();
    }
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
      return running.then(connection.close);
    },
  };
}

/** Each twice as long as the one before. */
function createPauses() {
  let nextMs = mendedPauseMinMs;
  return {
    next(): number {
      const pauseMs = nextMs;
      nextMs = Math.min(mendedPauseMaxMs, 2 * nextMs);
      return pauseMs;
    },
    reset() {
      nextMs = mendedPauseMinMs;
    },
  };
}

/** With jitter, so that the processes of a fleet do not knock all at once on a database that returns. */
async function pauseAbout(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
  await sleep(lookGapMinMs);
}
