/** How long others may go by what they have read of us before. */
export const cacheMaxMs = 5_000;

/** A row is forgotten after a minute at the earliest; before that we must know that it may be gone. */
const lapseMs = 30_000;

/** In how many databases the WRITE_ACKS of this process has been noted, without a break, for as long as others may not know them. */
export interface Presence {
  noted(database: string, atMs: number): void;
  /** In how many others must have seen them by now. 0 after a break: then they may have been forgotten. */
  knownIn(nowMs: number): number;
  /** Another number after each break. */
  generation(nowMs: number): number;
}

/** Nothing is noted yet. */
export function createPresence(): Presence {
  let generation = 0;
  let notedAtMs = Number.NEGATIVE_INFINITY;
  let since = new Map<string, number>();

  const endIfLapsed = (nowMs: number) => {
    if (nowMs - notedAtMs <= lapseMs || since.size === 0) return;
    generation += 1;
    since = new Map();
  };

  return {
    noted(database, atMs) {
      endIfLapsed(atMs);
      notedAtMs = Math.max(notedAtMs, atMs);
      // The answer has come by now; others may have read before it.
      if (!since.has(database)) since.set(database, performance.now());
    },
    knownIn(nowMs) {
      endIfLapsed(nowMs);
      return [...since.values()].filter((sinceMs) => nowMs - sinceMs > cacheMaxMs).length;
    },
    generation(nowMs) {
      endIfLapsed(nowMs);
      return generation;
    },
  };
}
