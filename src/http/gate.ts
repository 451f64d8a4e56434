import type { Failure } from '../domain/failure.ts';

export interface GateOptions {
  /** How many may be inside at once. */
  readonly insideMax: number;
  /** How many may wait. */
  readonly waitingMax: number;
  /** How long each may. */
  readonly waitMs: number;
  /** Sends away whoever waits, and lets nobody wait any more; the reason of its abort is a Failure. */
  readonly stopping?: AbortSignal | undefined;
  /** What whoever has no room is told. */
  readonly refuse: (inside: number, waiting: number) => Failure;
}

/** Lets a bounded number in at once; a bounded number of others wait their turn, for a bounded time. */
export interface Gate {
  /**
   * Resolves when there is room. The caller calls what it resolves with when it is out again, once.
   *
   * @throws Failure of `refuse`, or that of `stopping`.
   */
  enter(): Promise<() => void>;
}

/** Nobody is inside yet. */
export function createGate({ insideMax, waitingMax, waitMs, stopping, refuse }: GateOptions): Gate {
  const waiting: (() => void)[] = [];
  let inside = 0;

  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else inside -= 1;
  };
  const leaveOnce = () => {
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      leave();
    };
  };

  return {
    async enter() {
      if (inside < insideMax) {
        inside += 1;
        return leaveOnce();
      }
      if (waiting.length >= waitingMax) throw refuse(insideMax, waiting.length);
      stopping?.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        const settle = <Reason extends unknown[]>(outcome: (...reason: Reason) => void) => {
          return (...reason: Reason) => {
            clearTimeout(timer);
            stopping?.removeEventListener('abort', stop);
            outcome(...reason);
          };
        };
        const goIn = settle(resolve);
        const goAway = settle((failure: Failure) => {
          waiting.splice(waiting.indexOf(goIn), 1);
          reject(failure);
        });
        const stop = () => goAway(stopping?.reason);
        const timer = setTimeout(() => goAway(refuse(insideMax, waiting.length - 1)), waitMs);
        stopping?.addEventListener('abort', stop);
        waiting.push(goIn);
      });
      return leaveOnce();
    },
  };
}
