/**
 * How long this process had to wait for a processor. What all processes of a busy machine suffer is not the service's doing,
 * and is taken off what it is blamed for. A service that waits for a database makes no timer of this process late.
 */
const tickMs = 10;

/** Timers are never quite on time. */
const usualLatenessMs = 20;

let stalled = 0;
let dueAtMs = performance.now() + tickMs;

setInterval(() => {
  stalled += latenessMs();
  dueAtMs = performance.now() + tickMs;
}, tickMs).unref();

const latenessMs = () => Math.max(0, performance.now() - dueAtMs - usualLatenessMs);

/** Milliseconds that were lost since this module was loaded: of use is what is more of them later. */
export function stalledMs(): number {
  return stalled + latenessMs();
}

/** Starts a watch that stands still while the process waits for a processor. @returns What reads it, in milliseconds. */
export function startWatch(): () => number {
  const begunMs = performance.now();
  const stalledBefore = stalledMs();
  return () => performance.now() - begunMs - (stalledMs() - stalledBefore);
}
