import { setTimeout as sleep } from 'node:timers/promises';
import { type Failure, toFailure } from '../../domain/failure.ts';
import type { Receipt, Store } from '../../domain/store.ts';
import type { Summary } from '../../domain/summary.ts';

/** While some commit, the next ones are read; more of them only take memory. */
const batchesAtOnceMax = 4;

/**
 * So long a batch waits for the databases that are slower than the answer needs: without that they would fall behind
 * until their queues are full, and miss the rest. One that is frozen does not hold up a load for longer than that.
 */
const stragglersTimeoutMs = 1_000;

/** How far a load has come. */
export interface BulkProgress {
  /** Summaries that were acknowledged. */
  readonly stored: number;
  /** Of every line up to here, all that was valid is stored; lines count from 1. */
  readonly storedThroughLine: number;
  /** The fewest databases that any batch was in; undefined before the first. */
  readonly copies: Pick<Receipt, 'copies' | 'databases'> | undefined;
}

/** Writes batch after batch. */
export interface BulkWriter {
  /**
   * Hands a batch to the store. Resolves when there is room for another one.
   *
   * @param lastLine The line that it ends with.
   * @throws Failure of an earlier batch: then nothing more is to be written.
   */
  write(batch: readonly Summary[], lastLine: number): Promise<void>;
  /** Throws the Failure of a batch, if one has failed. */
  check(): void;
  /** Waits for all that is under way. Does not throw. */
  finish(): Promise<void>;
  progress(): BulkProgress;
}

/** Creates a writer that has a few batches under way at once, and so waits for the databases instead of flooding them. */
export function createBulkWriter(store: Store): BulkWriter {
  const underWay = new Set<Promise<void>>();
  /** In the order of their lines; those that are stored leave at the front. */
  const batches: { readonly lastLine: number; isStored: boolean }[] = [];
  let progress: BulkProgress = { stored: 0, storedThroughLine: 0, copies: undefined };
  let failure: Failure | undefined;

  const check = () => {
    if (failure) throw failure;
  };

  const writeBatch = async (summaries: readonly Summary[], lastLine: number): Promise<void> => {
    const batch = { lastLine, isStored: false };
    batches.push(batch);
    try {
      const receipt = await store.write(summaries);
      batch.isStored = true;
      let { storedThroughLine } = progress;
      while (batches[0]?.isStored) storedThroughLine = batches.shift()?.lastLine ?? 0;
      progress = { ...progress, stored: progress.stored + summaries.length, storedThroughLine };
      const copies = await copiesOf(receipt);
      if (copies < (progress.copies?.copies ?? Number.POSITIVE_INFINITY)) {
        progress = { ...progress, copies: { copies, databases: receipt.databases } };
      }
    } catch (error) {
      failure ??= toFailure(error);
    }
  };

  return {
    async write(summaries, lastLine) {
      check();
      const writing: Promise<void> = writeBatch(summaries, lastLine).finally(() => underWay.delete(writing));
      underWay.add(writing);
      if (underWay.size >= batchesAtOnceMax) await Promise.race(underWay);
      check();
    },
    check,
    async finish() {
      await Promise.all(underWay);
    },
    progress: () => progress,
  };
}

async function copiesOf({ copies, settled }: Receipt): Promise<number> {
  if (settled === undefined) return copies;
  return (await Promise.race([settled, sleep(stragglersTimeoutMs, undefined, { ref: false })])) ?? copies;
}
