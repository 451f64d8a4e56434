/**
 * Restarts a server that ended unexpectedly: it was killed, it ran out of memory, or its disk was full.
 *
 * 1. Check every half second whether the server runs. It may not be our child, so no event tells us when it ends.
 * 2. A server that was shut down stays down: somebody wanted that.
 * 3. Any other server is restarted on its port after a pause. The pause doubles with each restart of the last ten minutes, so
 *    that a server that cannot run fills neither its log nor the disk. After five restarts it stays down.
 * 4. A server that stays down is watched: once somebody else has started it, it is kept running again.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const lookEveryMs = 500;

/** The children of a killed server need a moment to notice and end; until then no new server can start. */
const firstPauseMs = 2_000;

const startsMax = 5;
const withinMs = 10 * 60_000;

/** What became of a server that does not run. */
export type ServerEvent =
  /** It ended or, with a cause, did not start. It is started after the pause. */
  | { readonly type: 'server_lost'; readonly pauseMs: number; readonly cause?: unknown }
  | { readonly type: 'server_restarted' }
  /** Somebody else shut it down. It stays down. */
  | { readonly type: 'server_left' }
  /** Too many starts did not help. It stays down. */
  | { readonly type: 'server_abandoned'; readonly starts: number; readonly withinMs: number };

export interface KeepRunningOptions {
  readonly isRunning: () => Promise<boolean>;
  /** True when the server that ended was shut down. */
  readonly wasShutDown: () => Promise<boolean>;
  /** Starts the server. Rejects when it does not start, and soon after the signal. */
  readonly start: (signal: AbortSignal) => Promise<void>;
  readonly tell: (event: ServerEvent) => void;
  /** The first pause; two seconds when left out. */
  readonly firstPauseMs?: number;
}

/** Keeps a server running until the signal. Resolves when all work has ended; never rejects. */
export async function keepRunning(options: KeepRunningOptions, signal: AbortSignal): Promise<void> {
  const { isRunning, wasShutDown, start, tell } = options;
  const pauses = createPauses(options.firstPauseMs ?? firstPauseMs);
  const wait = (ms: number) => sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
  const untilIs = async (wanted: boolean) => {
    // A look that fails says nothing.
    while (!signal.aborted && (await isRunning().catch(() => !wanted)) !== wanted) await wait(lookEveryMs);
  };

  /** @returns The outcome; undefined after the signal. */
  const startAgain = async (): Promise<ServerEvent | undefined> => {
    for (let cause: unknown; !signal.aborted; ) {
      const pauseMs = pauses.next();
      if (pauseMs === undefined) return { type: 'server_abandoned', starts: startsMax, withinMs };
      tell({ type: 'server_lost', pauseMs, ...(cause !== undefined && { cause }) });
      await wait(pauseMs);
      cause = await startUnlessRunning();
      if (cause === undefined) return { type: 'server_restarted' };
    }
    return undefined;
  };
  /** @returns The error, if the server did not start. */
  const startUnlessRunning = async (): Promise<unknown> => {
    try {
      // Somebody else may have started it meanwhile.
      if (!signal.aborted && !(await isRunning())) await start(signal);
      return undefined;
    } catch (error) {
      return error;
    }
  };

  while (!signal.aborted) {
    await untilIs(false);
    const event = (await wasShutDown()) ? ({ type: 'server_left' } as const) : await startAgain();
    if (event === undefined || signal.aborted) return;
    tell(event);
    if (event.type === 'server_restarted') continue;
    await untilIs(true);
    if (!signal.aborted) tell({ type: 'server_restarted' });
  }
}

/** Counts starts. */
function createPauses(firstMs: number) {
  let starts: number[] = [];
  return {
    /** Counts one more start. @returns Milliseconds to wait before it; undefined after too many starts. */
    next(): number | undefined {
      starts = starts.filter((atMs) => performance.now() - atMs < withinMs);
      if (starts.length >= startsMax) return undefined;
      starts.push(performance.now());
      return firstMs * 2 ** (starts.length - 1);
    },
  };
}
