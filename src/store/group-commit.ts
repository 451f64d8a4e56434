/**
 * Group commit: what arrives while a database is busy is written together with its next transaction.
 *
 * 1. A write joins the queue.
 * 2. At the end of the event loop's turn a free connection takes all that has gathered, up to a cap, and commits it.
 * 3. Meanwhile the others wait for that batch, which is soon done, and make the next; only when much is pending does a
 *    further connection begin at once.
 * 4. A batch that fails on account of some of its writes is committed without them (`batch-commit.ts`): those wait aside
 *    until what they lack is made, and join the queue again, or are split until each refused summary stands alone.
 *
 * No timer: an idle database commits what one turn brought, a busy one makes larger batches the busier it is. Without
 * the wait for the end of the turn, requests that arrive together become a batch of one and a batch of all the others.
 * Refused alternative: to wait a few milliseconds for company, which adds them to every write of an idle service.
 */
import type { Failure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';
import { type AsideOptions, createAside, type QueuedWrite } from './aside.ts';
import { createBatchCommit } from './batch-commit.ts';
import type { Received } from './insert-summaries.ts';
import { createRoom } from './room.ts';

/** What waits to be committed is bounded, so that a frozen database holds bounded memory: past it writes fail at once. */
export interface GroupCommitOptions extends Omit<AsideOptions, 'rejoin'> {
  /** How many batches are under way at once, at most. */
  readonly connections: number;
  /** So many summaries must be waiting or under way before a second batch begins while another is under way. */
  readonly pendingMin: number;
  /** Summaries in a batch; a single write that is larger goes alone. */
  readonly batchMax: number;
}

/** Where summaries come from that were not received just now. */
export type Origin = Omit<Received, 'summaries'>;

/** The queue of one database. */
export interface GroupCommit {
  /**
   * Resolves when the summaries are committed. Rejects with a Failure: `queue_full` when there is no room for them,
   * `data_refused` when all but those that its problems name are committed.
   */
  write(summaries: readonly Summary[], origin?: Origin): Promise<void>;
  /** Summaries that are waiting or under way. */
  pending(): number;
  /** Resolves when nothing is waiting or under way. */
  drain(): Promise<void>;
}

/** Creates the queue; it commits at the end of the turn in which something came into it. */
export function createGroupCommit(options: GroupCommitOptions): GroupCommit {
  const { prerequisites, connections, pendingMin, batchMax } = options;
  const queue: QueuedWrite[] = [];
  const underWay = new Set<Promise<void>>();
  const room = createRoom(options);
  let isWorkAhead = false;

  const enqueue = (write: QueuedWrite) => {
    queue.push(write);
    workAtEndOfTurn();
  };
  const aside = createAside({ ...options, rejoin: enqueue });

  const commitBatch = createBatchCommit({ ...options, aside });

  const isDue = () =>
    queue.length > 0 &&
    (underWay.size === 0 || (underWay.size < connections && room.pending() - aside.pending() >= pendingMin));

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
    write(summaries, origin = { receivedAtMs: performance.now() }) {
      return new Promise((resolve, reject) => {
        const leave = room.enter(summaries);
        const settle = (failure?: Failure) => {
          leave();
          if (failure) reject(failure);
          else resolve();
        };
        const write: QueuedWrite = { ...origin, summaries, settle, rounds: 0 };
        // A batch would only fail again on its account.
        const lack = prerequisites.beingMadeFor(summaries);
        if (lack) aside.wait(write, lack);
        else enqueue(write);
      });
    },
    pending: room.pending,
    async drain() {
      for (work(); underWay.size + aside.underWay.size > 0; work()) {
        await Promise.race([...underWay, ...aside.underWay]);
      }
    },
  };
}

/** Takes writes from the head of the queue: as many as fit into a batch, and at least one. */
function takeBatch(queue: QueuedWrite[], batchMax: number): QueuedWrite[] {
  let size = 0;
  const end = queue.findIndex(({ summaries }, index) => {
    size += summaries.length;
    return size > batchMax && index > 0;
  });
  return queue.splice(0, end === -1 ? queue.length : end);
}
