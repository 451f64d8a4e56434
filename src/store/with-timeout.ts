import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../domain/failure.ts';

/** Settles as the promise does or, when that takes too long, rejects with a Failure `timeout`; the work goes on. */
export async function withTimeout<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  const settled = new AbortController();
  const expiry = sleep(timeoutMs, undefined, { signal: settled.signal }).then(() => {
    throw new Failure('timeout', 'did not answer in time');
  });
  try {
    return await Promise.race([promise, expiry]);
  } finally {
    settled.abort();
    expiry.catch(() => undefined);
  }
}
