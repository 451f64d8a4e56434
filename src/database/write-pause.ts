import type { Failure } from '../domain/failure.ts';
import { createBackOff } from './back-off.ts';

/** A disk that is full stays so for a while; a database that has room again is tried within the quarter of a minute. */
const pauses = { firstMs: 250, maxMs: 15_000 };

/** Keeps writes away, for ever longer, from a database that refuses them for a reason that the next one will meet too. */
export interface WritePause {
  isOver(): boolean;
  /** Throws the reason while it lasts. */
  check(): void;
  noteFailure(failure: Failure): void;
  noteSuccess(): void;
}

/** Writes may come. */
export function createWritePause(): WritePause {
  const backOff = createBackOff(pauses);
  let reason: Failure | undefined;
  return {
    isOver: backOff.isOver,
    check() {
      if (reason && !backOff.isOver()) throw reason;
    },
    noteFailure(failure) {
      if (!isStubborn(failure)) return;
      reason = failure;
      backOff.noteFailure();
    },
    noteSuccess: backOff.noteSuccess,
  };
}

function isStubborn({ code }: Failure): boolean {
  return code === 'disk_full' || code === 'authentication' || code === 'unknown';
}
