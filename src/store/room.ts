import { Failure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';

export interface RoomOptions {
  /** Summaries that are in it at once. */
  readonly pendingMax: number;
  /** Bytes of their sketches, likewise; a single write that is larger goes alone. */
  readonly sketchBytesMax: number;
}

/** Counts what is pending, and lets in no more than may be. */
export interface Room {
  /** Summaries that are in it. */
  pending(): number;
  /**
   * Returns what is to be called when they leave.
   *
   * @throws Failure `queue_full`.
   */
  enter(summaries: readonly Summary[]): () => void;
}

/** Nothing is in it yet. */
export function createRoom({ pendingMax, sketchBytesMax }: RoomOptions): Room {
  let pending = 0;
  let sketchBytes = 0;
  return {
    pending: () => pending,
    enter(summaries) {
      let bytes = 0;
      for (const { sketch } of summaries) bytes += sketch?.length ?? 0;
      const isTooHeavy = bytes > 0 && pending > 0 && sketchBytes + bytes > sketchBytesMax;
      if (pending + summaries.length > pendingMax || isTooHeavy) {
        const message = `has ${pending} summaries waiting, with ${sketchBytes} bytes of sketches, and no room for more`;
        throw new Failure('queue_full', message);
      }
      pending += summaries.length;
      sketchBytes += bytes;
      return () => {
        pending -= summaries.length;
        sketchBytes -= bytes;
      };
    },
  };
}
