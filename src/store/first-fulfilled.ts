/**
 * Resolves once so many of the promises have been fulfilled; rejects with an AggregateError as soon as that cannot
 * happen any more. `Promise.any` is the case of one.
 *
 * @param needed Between 1 and the number of promises.
 */
export function firstFulfilled(promises: readonly Promise<unknown>[], needed: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let fulfilled = 0;
    const reasons: unknown[] = [];
    for (const promise of promises) {
      promise.then(
        () => {
          fulfilled += 1;
          if (fulfilled === needed) resolve();
        },
        (reason) => {
          reasons.push(reason);
          if (reasons.length === promises.length - needed + 1) reject(new AggregateError(reasons));
        },
      );
    }
  });
}
