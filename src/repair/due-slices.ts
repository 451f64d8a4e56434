import type { DifferingSlice } from './differing-slices.ts';

/** Where writes never cease, a slice is never at rest. */
const restlessMs = 20_000;

/** What could not be repaired, because a database refuses it, is tried again ever more rarely. */
const retryMinMs = 3_000;
const retryMaxMs = 600_000;

interface Seen {
  signature: string;
  /** When it was seen first, with any signature. */
  readonly firstMs: number;
  sameSinceMs: number;
  dueAtMs: number;
  tries: number;
}

/** A slice that is to be repaired. */
export interface DueSlice extends DifferingSlice {
  /** Nothing has been written there for a while. */
  readonly isAtRest: boolean;
}

/** Remembers from look to look how long each slice has differed. */
export interface DueSlices {
  /** Of those that differ now, the ones that are to be repaired now. */
  due(differing: readonly DifferingSlice[], nowMs: number): DueSlice[];
  /** Takes note that a repair was tried. */
  tried(slice: DifferingSlice, nowMs: number): void;
  /** The begins of those that differ and were not tried yet. */
  untried(): number[];
}

export interface DueSlicesOptions {
  /** A difference that stands as long as this is none of writes that are on their way. */
  readonly restMs: number;
  /** Whether a slice that was tried is due again when it still differs. */
  readonly isRetrying: boolean;
}

/** Has seen nothing yet. */
export function createDueSlices({ restMs, isRetrying }: DueSlicesOptions): DueSlices {
  let seen = new Map<number, Seen>();
  return {
    due(differing, nowMs) {
      const before = seen;
      seen = new Map();
      return differing.flatMap((slice) => {
        const known = before.get(slice.from);
        const entry = known ?? { signature: '', firstMs: nowMs, sameSinceMs: nowMs, dueAtMs: nowMs, tries: 0 };
        if (entry.signature !== slice.signature) {
          Object.assign(entry, { signature: slice.signature, sameSinceMs: nowMs, dueAtMs: nowMs, tries: 0 });
        }
        seen.set(slice.from, entry);
        const isAtRest = nowMs - entry.sameSinceMs >= restMs;
        const isDue = (isAtRest || nowMs - entry.firstMs >= restlessMs) && nowMs >= entry.dueAtMs;
        return isDue ? [{ ...slice, isAtRest }] : [];
      });
    },
    tried(slice, nowMs) {
      const entry = seen.get(slice.from);
      if (!entry) return;
      entry.dueAtMs = isRetrying
        ? nowMs + Math.min(retryMaxMs, retryMinMs * 2 ** entry.tries)
        : Number.POSITIVE_INFINITY;
      entry.tries += 1;
    },
    untried: () => [...seen].filter(([, { tries }]) => tries === 0).map(([from]) => from),
  };
}
