/**
 * Group commit: what arrives while a database is busy is written together with its next transaction.
 *
 * 1. A write joins the queue.
 * 2. At the end of the event loop's turn a free connection takes all that has gathered, up to a cap, and commits it.
 * 3. Meanwhile the others wait for that batch, which is soon done, and make the next; only when much is pending does a
 *    further connection begin at once.
 * 4. When the database refuses the data of a batch, the batch is split in half until each refused summary stands alone.
 *    Its write fails, its neighbours are committed.
 *
 * No timer: an idle database commits what one turn brought, a busy one makes larger batches the busier it is. Without
 * the wait for the end of the turn, requests that arrive together become a batch of one and a batch of all the others.
 * Refused alternative: to wait a few milliseconds for company, which adds them to every write of an idle service.
 */
import { Failure, toFailure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';
import { commitOthers } from './commit-others.ts';

export interface GroupCommitOptions {
  /** Commits a batch: all of it or nothing. Rejects with a Failure. */
  readonly commit: (summaries: readonly Summary[]) => Promise<void>;
  /** Is told of each summary that the database refuses for what it is. */
  readonly refuse?: (summary: Summary, failure: Failure) => Promise<void>;
  /** How many batches are under way at once, at most. */
  readonly connections: number;
  /** So many summaries must be waiting or under way before a second batch begins while another is under way. */
  readonly pendingMin: number;
  /** Summaries in a batch; a single write that is larger goes alone. */
  readonly batchMax: number;
  /** Summaries waiting or under way; past it writes fail at once, so that a frozen database holds bounded memory. */
  readonly pendingMax: number;
  /** Bytes of their sketches, likewise; a single write that is larger goes alone. */
  readonly sketchBytesMax: number;
}

/** The queue of one database. */
export interface GroupCommit {
  /**
   * Resolves when the summaries are committed. Rejects with a Failure: `queue_full` when there is no room for them,
   * `data_refused` when all but those that its problems name are committed.
   */
  write(summaries: readonly Summary[]): Promise<void>;
  /** Summaries that are waiting or under way. */
  pending(): number;
  /** Resolves when nothing is waiting or under way. */
  drain(): Promise<void>;
}

interface Write {
  readonly summaries: readonly Summary[];
  readonly settle: (failure?: Failure) => void;
}

/** Creates the queue; it commits at the end of the turn in which something came into it. */
export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { commit, refuse = async () => undefined, connections, pendingMin, batchMax } = options;
  const queue: Write[] = [];
  const underWay = new Set<Promise<void>>();
  const room = createRoom(options);
  let isWorkAhead = false;

  const commitBatch = async (writes: readonly Write[]): Promise<void> => {
    const failure = await commit(writes.flatMap(({ summaries }) => summaries)).then(() => undefined, toFailure);
    if (failure) return settleFailed(writes, failure);
    for (const { settle } of writes) settle();
  };

  const settleFailed = async (writes: readonly Write[], failure: Failure): Promise<void> => {
    if (failure.code !== 'data_refused') {
      for (const { settle } of writes) settle(failure);
    } else if (writes.length > 1) {
      const half = writes.length >> 1;
      await commitBatch(writes.slice(0, half));
      await commitBatch(writes.slice(half));
    } else {
      for (const { summaries, settle } of writes) {
        settle(await commitOthers(summaries, failure, { commit, refuse }).catch(toFailure));
      }
    }
  };

  const isDue = () =>
    queue.length > 0 && (underWay.size === 0 || (underWay.size < connections && room.pending() >= pendingMin));

  const work = () => {
    isWorkAhead = false;
    while (isDue()) {
      const batch = commitBatch(takeBatch(queue, batchMax)).finally(() => {
        underWay.delete(batch);
        workAtEndOfTurn();
      });
      underWay.add(batch);
    }
  };

  const workAtEndOfTurn = () => {
    if (isWorkAhead || !isDue()) return;
    isWorkAhead = true;
    setImmediate(work);
  };

  return {
    write(summaries) {
      return new Promise((resolve, reject) => {
        const leave = room.enter(summaries);
        const settle = (failure?: Failure) => {
          leave();
          if (failure) reject(failure);
          else resolve();
        };
        queue.push({ summaries, settle });
        workAtEndOfTurn();
      });
    },
    pending: room.pending,
    async drain() {
      for (work(); underWay.size > 0; work()) await Promise.allSettled(underWay);
    },
  };
}

/** Counts what is pending, and lets in no more than may be. */
function createRoom({ pendingMax, sketchBytesMax }: GroupCommitOptions) {
  let pending = 0;
  let sketchBytes = 0;
  return {
    pending: () => pending,
    /**
     * @returns What is to be called when they are settled.
     * @throws Failure `queue_full`.
     */
    enter(summaries: readonly Summary[]): () => void {
      let bytes = 0;
      for (const { sketch } of summaries) bytes += sketch?.length ?? 0;
      const isTooHeavy = bytes > 0 && pending > 0 && sketchBytes + bytes > sketchBytesMax;
      if (pending + summaries.length > pendingMax || isTooHeavy) {
        const message = `has ${pending} summaries waiting, with ${sketchBytes} bytes of sketches, and no room for more`;
        throw new Failure('queue_full', message);
      }
      pending += summaries.length;
      sketchBytes += bytes;
      return () => {
        pending -= summaries.length;
        sketchBytes -= bytes;
      };
    },
  };
}

/** Takes writes from the head of the queue: as many as fit into a batch, and at least one. */
function takeBatch(queue: Write[], batchMax: number): Write[] {
  let size = 0;
  const end = queue.findIndex(({ summaries }, index) => {
    size += summaries.length;
    return size > batchMax && index > 0;
  });
  return queue.splice(0, end === -1 ? queue.length : end);
}
