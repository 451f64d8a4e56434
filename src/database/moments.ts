/**
 * Moments by the monotonic clock of this process, and instants by the clock of a database: how to tell one from the other.
 *
 * Clocks of two machines are never compared. A reading says what a database's clock showed at a moment of ours, within the
 * round trip that it took; every other instant follows from how much time passed between. An instant of one database becomes
 * one of another by way of a moment.
 */
import type { ClockReading } from './clocks.ts';
import type { Run } from './deletions.ts';

/** The earliest and the latest instant that the clock of a database can have shown at a moment. Unix seconds. */
export function instantsAt({ seconds, atMs, errorMs }: ClockReading, momentMs: number): [number, number] {
  const sinceMs = momentMs - atMs;
  return [seconds + (sinceMs - errorMs) / 1_000, seconds + (sinceMs + errorMs) / 1_000];
}

/** The earliest and the latest moment at which the clock of a database can have shown an instant. */
export function momentsOf({ seconds, atMs, errorMs }: ClockReading, instant: number): [number, number] {
  const sinceMs = (instant - seconds) * 1_000;
  return [atMs + sinceMs - errorMs, atMs + sinceMs + errorMs];
}

/** Good enough for what goes by it. */
const errorMsWanted = 10;

/**
 * Asks a database what its clock shows.
 *
 * @param triesMax How often, at most; the answer that came quickest counts. A process that is busy takes note of it late.
 */
export async function readClock(run: Run, triesMax = 1): Promise<ClockReading> {
  let best: ClockReading | undefined;
  for (let tries = 1; best === undefined || (best.errorMs > errorMsWanted && tries <= triesMax); tries += 1) {
    const begunMs = performance.now();
    const { rows } = await run("select date_part('epoch', clock_timestamp()) as seconds");
    const errorMs = (performance.now() - begunMs) / 2;
    if (best && best.errorMs <= errorMs) continue;
    best = { seconds: Number(rows[0]?.seconds), atMs: begunMs + errorMs, errorMs };
  }
  return best;
}
