/**
 * A long range of time, read in slices that fit into memory.
 *
 * 1. Read a slice. Its width follows what was found: as many summaries as are wanted at once, at most twice as wide as
 *    the one before.
 * 2. One that holds more than a read may is made much narrower and read again: nothing is known of how much more.
 * 3. The next begins a microsecond after the end of this one, since both ends are part of a slice.
 */
import { Failure, toFailure } from '../domain/failure.ts';
import type { Selection, Store, SummaryQuery } from '../domain/store.ts';

const firstWidth = 3_600 * 1e6;

/** Few enough for a little memory, enough that asking costs little beside answering. */
const summariesWanted = 20_000;

const growthMax = 2;
const shrinkFactor = 16;

/** Part of the summaries that were asked for. */
export interface Slice extends Selection {
  /** Unix seconds, inclusive. */
  readonly to: number;
}

/**
 * Yields all summaries that a query finds, in slices of ascending time.
 *
 * @throws Failure as `select` does; `read_too_large` when a single instant holds more than a read may.
 */
export async function* selectInSlices(
  store: Pick<Store, 'select'>,
  { namePattern, ...range }: SummaryQuery,
): AsyncGenerator<Slice> {
  // Whole microseconds, as PostgreSQL keeps them, so that nothing falls between two slices.
  const last = Math.floor(range.to * 1e6);
  let start = Math.ceil(range.from * 1e6);
  let width = firstWidth;
  while (start <= last) {
    const end = Math.min(last, start + width - 1);
    const selection = await store.select({ namePattern, from: start / 1e6, to: end / 1e6 }).catch((error) => {
      const failure = toFailure(error);
      if (failure.code !== 'read_too_large') throw failure;
      return failure;
    });
    if (selection instanceof Failure) {
      if (end === start) throw selection;
      width = Math.max(1, Math.floor((end - start + 1) / shrinkFactor));
      continue;
    }
    yield { ...selection, to: end / 1e6 };
    start = end + 1;
    const growth = Math.min(growthMax, summariesWanted / Math.max(1, selection.summaries.length));
    width = Math.max(1, Math.floor(width * growth));
  }
}
