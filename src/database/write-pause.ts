import { type Failure, isRefusalOfWrites } from '../domain/failure.ts';
import { createBackOff } from './back-off.ts';

/** A disk that is full stays so for a while; a database that has room again is tried within the quarter of a minute. */
const pauses = { firstMs: 250, maxMs: 15_000 };

/** Keeps writes away, for ever longer, from a database that refuses them for a reason that the next one will meet too. */
export interface WritePause {
  isOver(): boolean;
  /** When the first of the writes failed that it is about, as ISO 8601. */
  since(): string | undefined;
  /** Throws the reason while it lasts. */
  check(): void;
  noteFailure(failure: Failure): void;
  noteSuccess(): void;
}

/** Writes may come. */
export function createWritePause(): WritePause {
  const backOff = createBackOff(pauses);
  let reason: Failure | undefined;
  let begunAt: Date | undefined;
  return {
    isOver: backOff.isOver,
    since: () => begunAt?.toISOString(),
    check() {
      if (reason && !backOff.isOver()) throw reason;
    },
    noteFailure(failure) {
      if (!isRefusalOfWrites(failure)) return;
      reason = failure;
      begunAt ??= new Date();
      backOff.noteFailure();
    },
    noteSuccess() {
      begunAt = undefined;
      backOff.noteSuccess();
    },
  };
}
