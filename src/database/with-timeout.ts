import { Failure } from '../domain/failure.ts';

/**
 * Settles as the promise does or, when that takes too long, rejects with a Failure `timeout`; the work goes on.
 *
 * A bare timer: it is on the path of every write, and an AbortSignal's events cost several times as much.
 */
export function withTimeout<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure('timeout', 'did not answer in time')), timeoutMs);
    const settled = <Argument>(settle: (argument: Argument) => void) => {
      return (argument: Argument) => {
        clearTimeout(timer);
        settle(argument);
      };
    };
    promise.then(settled(resolve), settled(reject));
  });
}
