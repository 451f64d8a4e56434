/** How long to leave something alone that has failed: twice as long each time, until it works. */
export interface BackOff {
  /** Since it worked last, or ever. */
  hasFailed(): boolean;
  /** False: it failed and is to be left alone still. */
  isOver(): boolean;
  /** It failed. What was begun before a pause and fails in it makes it no longer. */
  noteFailure(): void;
  noteSuccess(): void;
}

export interface BackOffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Nothing has failed yet. Pauses vary by a quarter, so that the processes of a fleet do not try all at once. */
export function createBackOff({ firstMs, maxMs }: BackOffOptions): BackOff {
  let nextMs = firstMs;
  let untilMs = Number.NEGATIVE_INFINITY;
  const isOver = () => performance.now() >= untilMs;
  return {
    hasFailed: () => untilMs > Number.NEGATIVE_INFINITY,
    isOver,
    noteFailure() {
      if (!isOver()) return;
      untilMs = performance.now() + nextMs * (0.75 + Math.random() / 2);
      nextMs = Math.min(maxMs, nextMs * 2);
    },
    noteSuccess() {
      [nextMs, untilMs] = [firstMs, Number.NEGATIVE_INFINITY];
    },
  };
}
