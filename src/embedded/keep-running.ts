/**
 * Starts a server again that ended by itself: that was killed, ran out of memory, or whose disk was full.
 *
 * 1. Look every half second whether it runs. It may be no child of ours, so nobody tells us when it ends.
 * 2. One that ended after a shutdown was stopped by somebody who wanted that: it is left so.
 * 3. Any other is started again, on its port, after a pause that doubles with each start of the last ten minutes: a server
 *    that cannot run is not to fill its log and the disk. After five starts it is left as it is.
 * 4. One that was left is taken up again when it runs again, whoever started it.
 */
import { setTimeout as sleep } from 'node:timers/promises';

const lookEveryMs = 500;

/** Processes of the server that was killed are given time to notice it; while one is left, no new server starts. */
const firstPauseMs = 2_000;

const startsMax = 5;
const withinMs = 10 * 60_000;

/** What became of a server that does not run. */
export type ServerEvent =
  /** It ended, or could not be started, and is started after the pause. */
  | { readonly type: 'server_lost'; readonly pauseMs: number; readonly cause?: unknown }
  | { readonly type: 'server_restarted' }
  /** It was shut down by somebody else, and is not started again. */
  | { readonly type: 'server_left' }
  /** It was started in vain, or ended again, too often. */
  | { readonly type: 'server_abandoned'; readonly starts: number; readonly withinMs: number };

export interface KeepRunningOptions {
  readonly isRunning: () => Promise<boolean>;
  /** Whether it ended by a shutdown. */
  readonly wasShutDown: () => Promise<boolean>;
  /** Starts it. Rejects when that does not work, and soon when the signal comes. */
  readonly start: (signal: AbortSignal) => Promise<void>;
  readonly tell: (event: ServerEvent) => void;
  /** Milliseconds; the first of the pauses, two seconds when left out. */
  readonly firstPauseMs?: number;
}

/** Keeps a server running until the signal comes. Resolves when nothing of it is under way any more; never rejects. */
export async function keepRunning(options: KeepRunningOptions, signal: AbortSignal): Promise<void> {
  const { isRunning, wasShutDown, start, tell } = options;
  const pauses = createPauses(options.firstPauseMs ?? firstPauseMs);
  const wait = (ms: number) => sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
  const untilIs = async (wanted: boolean) => {
    while (!signal.aborted && (await isRunning()) !== wanted) await wait(lookEveryMs);
  };

  /** @returns What became of it; undefined when the signal has come. */
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
  /** @returns Why it did not start, if it did not. */
  const startUnlessRunning = async (): Promise<unknown> => {
    try {
      // Somebody may have been faster.
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

/** The pause before the next start; undefined when there were too many. */
function createPauses(firstMs: number) {
  let starts: number[] = [];
  return {
    next(): number | undefined {
      starts = starts.filter((atMs) => performance.now() - atMs < withinMs);
      if (starts.length >= startsMax) return undefined;
      starts.push(performance.now());
      return firstMs * 2 ** (starts.length - 1);
    },
  };
}
