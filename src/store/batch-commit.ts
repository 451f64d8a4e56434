import { Failure, toFailure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';
import { type Aside, type AsideOptions, isLacking, type QueuedWrite, roundsMax } from './aside.ts';
import type { Lack } from './prerequisites.ts';

export interface BatchCommitOptions extends Pick<AsideOptions, 'commit' | 'prerequisites'> {
  readonly aside: Aside;
}

/**
 * Commits writes together and settles each of them. Those that the batch fails for leave it, so that the others are committed at
 * once:
 *
 * 1. When the batch lacks something, a name or a week, the writes that need it wait aside until it is made.
 * 2. When the database refuses the data of the batch, it is split in half until each refused write stands alone, and goes aside.
 *
 * Never rejects: a failure of the database is that of all writes.
 */
export function createBatchCommit(options: BatchCommitOptions): (writes: readonly QueuedWrite[]) => Promise<void> {
  const { commit, prerequisites, aside } = options;

  const commitBatch = async (writes: readonly QueuedWrite[]): Promise<void> => {
    if (writes.length === 0) return;
    const failure = await commit(writes).then(() => undefined, toFailure);
    if (failure) return settleFailed(writes, failure);
    for (const { settle } of writes) settle();
  };

  const settleFailed = async (writes: readonly QueuedWrite[], failure: Failure): Promise<void> => {
    if (isLacking(failure)) return splitByLack(writes, failure);
    if (failure.code === 'data_refused' && writes.length > 1) return commitHalves(writes);
    for (const write of writes) {
      if (failure.code === 'data_refused') aside.refuse(write, failure);
      else write.settle(failure);
    }
  };

  const splitByLack = async (writes: readonly QueuedWrite[], failure: Failure): Promise<void> => {
    const lack = await prerequisites.find(failure, summariesOf(writes)).catch(toFailure);
    if (lack instanceof Failure) return settleFailed(writes, lack);
    const needy = new Set(writes.filter((write) => lack && isNeededBy(lack, write)));
    if (lack === undefined || needy.size === 0) return tryAgain(writes, failure);
    for (const write of needy) {
      if (mayTryAgain(write)) aside.wait(write, lack);
      else write.settle(failure);
    }
    return commitBatch(writes.filter((write) => !needy.has(write)));
  };

  /** Nothing is missing any more, or never was: each half fares by itself, so that one odd write spoils no other. */
  const tryAgain = async (writes: readonly QueuedWrite[], failure: Failure): Promise<void> => {
    if (writes.length > 1) return commitHalves(writes);
    if (writes.every(mayTryAgain)) return commitBatch(writes);
    for (const { settle } of writes) settle(failure);
  };

  const commitHalves = async (writes: readonly QueuedWrite[]): Promise<void> => {
    const half = writes.length >> 1;
    await commitBatch(writes.slice(0, half));
    await commitBatch(writes.slice(half));
  };

  return commitBatch;
}

function summariesOf(writes: readonly QueuedWrite[]): Summary[] {
  return writes.flatMap(({ summaries }) => summaries);
}

function isNeededBy(lack: Lack, { summaries }: QueuedWrite): boolean {
  return summaries.some(lack.isNeededBy);
}

/** Counts how often a write was found to lack something. */
function mayTryAgain(write: QueuedWrite): boolean {
  write.rounds += 1;
  return write.rounds <= roundsMax;
}
