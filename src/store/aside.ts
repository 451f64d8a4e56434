import { type Failure, toFailure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';
import { commitOthers } from './commit-others.ts';
import type { Received } from './insert-summaries.ts';
import type { Lack, Prerequisites } from './prerequisites.ts';
import { createRoom, type RoomOptions } from './room.ts';

/** New name, new week, and a race lost for each: a write that still lacks something has another reason. */
export const roundsMax = 5;

/** Of the room of all writes. The rest is for those that lack nothing, however long the others wait. */
const roomShare = 0.75;

/** A write of the queue. */
export interface QueuedWrite extends Received {
  readonly settle: (failure?: Failure) => void;
  /** How often it was found to lack something. */
  rounds: number;
  /** By `performance.now()`: when it has waited for long enough; undefined: it did not have to wait yet. */
  endMs?: number;
}

export interface AsideOptions extends RoomOptions {
  /** Commits all or nothing. Rejects with a Failure. */
  readonly commit: (received: readonly Received[]) => Promise<void>;
  readonly prerequisites: Prerequisites;
  /** How long a write waits for what it lacks, all in all. */
  readonly waitMs: number;
  /** Is told of each summary that the database refuses for what it is. */
  readonly refuse: (summary: Summary, failure: Failure) => Promise<void>;
  /** Takes a write back that lacks nothing any more. */
  readonly rejoin: (write: QueuedWrite) => void;
}

/** Where writes are that cannot be committed together with others now. */
export interface Aside {
  /** What is done here, each until its end. */
  readonly underWay: ReadonlySet<Promise<void>>;
  /** Summaries that wait. */
  pending(): number;
  /** Keeps a write until it lacks nothing any more, which fails when that takes too long or too much waits already. */
  wait(write: QueuedWrite, lack: Lack): void;
  /** Settles a write whose data was refused, and commits what of it is not. One after another, so as to disturb nobody. */
  refuse(write: QueuedWrite, failure: Failure): void;
}

/** Nothing is here yet. */
export function createAside(options: AsideOptions): Aside {
  const { prerequisites, waitMs, refuse, rejoin, pendingMax, sketchBytesMax } = options;
  const room = createRoom({ pendingMax: roomShare * pendingMax, sketchBytesMax: roomShare * sketchBytesMax });
  const underWay = new Set<Promise<void>>();
  let lastRefused = Promise.resolve();

  const track = (work: Promise<void>) => {
    const tracked = work.finally(() => underWay.delete(tracked));
    underWay.add(tracked);
    return tracked;
  };

  const waitFor = async (lack: Lack, write: QueuedWrite): Promise<void> => {
    const leave = room.enter(write.summaries);
    const nowMs = performance.now();
    write.endMs ??= nowMs + waitMs;
    await lack.provide(write.summaries, write.endMs - nowMs).finally(leave);
  };

  /** As `commit`, but waits for what is lacking. */
  const commitPatiently = async (received: Received): Promise<void> => {
    const { summaries } = received;
    for (let round = 1; ; round += 1) {
      try {
        return await options.commit([received]);
      } catch (error) {
        const failure = toFailure(error);
        if (!isLacking(failure) || round === roundsMax) throw failure;
        const lack = await prerequisites.find(failure, summaries);
        await lack?.provide(summaries, waitMs);
      }
    }
  };

  const settleRefused = async (write: QueuedWrite, failure: Failure): Promise<void> => {
    const commit = (summaries: readonly Summary[]) => commitPatiently({ ...write, summaries });
    write.settle(await commitOthers(write.summaries, failure, { commit, refuse }).catch(toFailure));
  };

  const aside: Aside = {
    underWay,
    pending: room.pending,
    wait(write, lack) {
      track(
        waitFor(lack, write).then(
          () => rejoin(write),
          (error) => {
            const failure = toFailure(error);
            if (failure.code === 'data_refused') aside.refuse(write, failure);
            else write.settle(failure);
          },
        ),
      );
    },
    refuse(write, failure) {
      lastRefused = track(lastRefused.then(() => settleRefused(write, failure)));
    },
  };
  return aside;
}

/** The database lacks something that can be made: a name, or the partition of a week. */
export function isLacking({ code }: Failure): boolean {
  return code === 'series_missing' || code === 'partition_missing';
}
