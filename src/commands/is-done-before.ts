import { setTimeout as sleep } from 'node:timers/promises';

/** True when the work is done before the deadline, in the milliseconds of `performance.now()`. Rejects if it does. */
export async function isDoneBefore(work: Promise<unknown>, deadlineMs: number): Promise<boolean> {
  const expired = sleep(Math.max(0, deadlineMs - performance.now()), false, { ref: false });
  return Promise.race([work.then(() => true), expired]);
}
