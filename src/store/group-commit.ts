/**
 * Group commit: what arrives while a database is busy is written together with its next transaction.
 *
 * 1. A write joins the queue.
 * 2. Whenever one of the connections is free it takes all that has gathered, up to a cap, and commits it at once.
 * 3. When the database refuses the data of a batch, the batch is split in half until the refused write stands alone:
 *    it fails, its neighbours do not.
 *
 * No timer: an idle database commits the first write at once, a busy one makes larger batches the busier it is.
 * Refused alternative: to wait a few milliseconds for company, which adds them to every write of an idle service.
 */
import { Failure, toFailure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';

export interface GroupCommitOptions {
  /** Commits a batch: all of it or nothing. Rejects with a Failure. */
  readonly commit: (summaries: readonly Summary[]) => Promise<void>;
  /** How many batches are under way at once. */
  readonly connections: number;
  /** Summaries in a batch; a single write that is larger goes alone. */
  readonly batchMax: number;
  /** Summaries waiting or under way; past it writes fail at once, so that a frozen database holds bounded memory. */
  readonly pendingMax: number;
}

/** The queue of one database. */
export interface GroupCommit {
  /** Resolves when the summaries are committed. Rejects with a Failure, `queue_full` when there is no room for them. */
  write(summaries: readonly Summary[]): Promise<void>;
  /** Resolves when nothing is waiting or under way. */
  drain(): Promise<void>;
}

interface Write {
  readonly summaries: readonly Summary[];
  readonly settle: (failure?: Failure) => void;
}

/** Creates the queue; it commits as soon as something is in it. */
export function createGroupCommit({ commit, connections, batchMax, pendingMax }: GroupCommitOptions): GroupCommit {
  const queue: Write[] = [];
  const underWay = new Set<Promise<void>>();
  let pending = 0;

  const commitBatch = async (writes: readonly Write[]): Promise<void> => {
    try {
      await commit(writes.flatMap(({ summaries }) => summaries));
      for (const { settle } of writes) settle();
    } catch (error) {
      const failure = toFailure(error);
      if (failure.code !== 'data_refused' || writes.length === 1) {
        for (const { settle } of writes) settle(failure);
        return;
      }
      const half = writes.length >> 1;
      await commitBatch(writes.slice(0, half));
      await commitBatch(writes.slice(half));
    }
  };

  const takeBatch = (): Write[] => {
    let size = 0;
    const end = queue.findIndex(({ summaries }, index) => {
      size += summaries.length;
      return size > batchMax && index > 0;
    });
    return queue.splice(0, end === -1 ? queue.length : end);
  };

  const work = () => {
    while (queue.length > 0 && underWay.size < connections) {
      const batch = commitBatch(takeBatch()).finally(() => {
        underWay.delete(batch);
        work();
      });
      underWay.add(batch);
    }
  };

  return {
    write(summaries) {
      if (pending + summaries.length > pendingMax) {
        const message = `has ${pending} summaries waiting, at most ${pendingMax} may`;
        return Promise.reject(new Failure('queue_full', message));
      }
      pending += summaries.length;
      return new Promise((resolve, reject) => {
        const settle = (failure?: Failure) => {
          pending -= summaries.length;
          if (failure) reject(failure);
          else resolve();
        };
        queue.push({ summaries, settle });
        work();
      });
    },
    async drain() {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
}
