import { onTestFinished } from 'vitest';

type Cleanup = () => unknown;

let atEndOfFile: Cleanup[] | undefined;

/** Has something undone when the test has finished or, of what is shared by the tests of a file, when all of them have. */
export function whenFinished(cleanup: Cleanup): void {
  if (atEndOfFile) atEndOfFile.push(cleanup);
  else onTestFinished(async () => void (await cleanup()));
}

/**
 * Makes something that all tests of a file share.
 *
 * @returns It, and what undoes it: for `afterAll`.
 */
export async function share<Value>(make: () => Promise<Value>): Promise<{ value: Value; end: () => Promise<void> }> {
  const cleanups: Cleanup[] = [];
  atEndOfFile = cleanups;
  try {
    const value = await make();
    const end = async () => {
      for (const cleanup of cleanups.toReversed()) await cleanup();
    };
    return { value, end };
  } finally {
    atEndOfFile = undefined;
  }
}
