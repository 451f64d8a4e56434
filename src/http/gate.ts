import type { Failure } from '../domain/failure.ts';

export interface GateOptions {
  /** How many may be inside at once. */
  readonly insideMax: number;
  /** How many may wait. */
  readonly waitingMax: number;
  /** How long each may. */
  readonly waitMs: number;
  /** What whoever has no room is told. */
  readonly refuse: (inside: number, waiting: number) => Failure;
}

/** Lets a bounded number in at once; a bounded number of others wait their turn, for a bounded time. */
export interface Gate {
  /**
   * Resolves when there is room. The caller calls what it resolves with when it is out again, once.
   *
   * @throws Failure of `refuse`.
   */
  enter(): Promise<() => void>;
}

/** Nobody is inside yet. */
export function createGate({ insideMax, waitingMax, waitMs, refuse }: GateOptions): Gate {
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
      await new Promise<void>((resolve, reject) => {
        const goIn = () => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(goIn), 1);
          reject(refuse(insideMax, waiting.length));
        }, waitMs);
        waiting.push(goIn);
      });
      return leaveOnce();
    },
  };
}
