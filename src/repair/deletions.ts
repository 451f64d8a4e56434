/**
 * Deletions, in all databases: each keeps a row of every deletion, and whether it has applied it. Whoever asks for one notes it
 * where that is possible; every other database gets it from there, before repair copies anything (`coverage.ts` says what it
 * may copy then).
 *
 * In each database a deletion has a line, an instant by that database's own clock: it covers what arrived before.
 *
 * 1. Wait for longer than it takes until what was acknowledged before the request has its arrival, everywhere.
 * 2. Draw the line in each database when it notes the deletion, which is before the answer.
 * 3. A database that gets the deletion later computes its line from how long ago that was, not from another's clock.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDeletionMemory, type DeletionMemory } from '../database/deletion-memory.ts';
import {
  applyDeletion,
  clockTriesMax,
  countDeleted,
  digestDeletions,
  noteDeletions,
  passDeletionsOn,
  type Run,
  readDeletions,
  toSeen,
  unsettledDeletions,
} from '../database/deletions.ts';
import { instantsAt, readClock } from '../database/moments.ts';
import type { Purpose } from '../database/pools.ts';
import type { Deleter, DeletionOutcome, DeletionRequest } from '../domain/deletion.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import type { Copy } from './copy.ts';

/** Who asks waits so long; what is left then goes by and by. */
const waitMs = 5_000;

/** Twice what summaries of one batch may be apart, and a round trip (`insert-summaries.ts`). */
const marginMs = 250;

const runFor =
  (purpose: Purpose) =>
  ({ database }: Copy): Run =>
  (text, values = []) =>
    database.query(purpose, { text, values });

const reading = runFor('repair');
const writing = runFor('write');

export interface DeleterOptions {
  readonly copies: readonly Copy[];
  /** How many databases must have noted a deletion. */
  readonly acks: number;
  /** What this process has seen of deletions; its own when left out. */
  readonly memory?: DeletionMemory;
}

/** Deletes as `Deleter` promises. */
export function createDeleter({ copies, acks, memory = createDeletionMemory() }: DeleterOptions): Deleter {
  const note = async (id: string, request: DeletionRequest): Promise<PromiseSettledResult<void>[]> => {
    const deletion = { ...request, id, isById: false };
    const deletedAtMs = performance.now();
    const noted = await Promise.allSettled(
      copies.map(async (copy) => {
        const clock = await readClock(writing(copy), clockTriesMax);
        // Not as late as it may be noted: a server that was frozen comes to it long after the answer.
        const [, deletedAt] = instantsAt(clock, performance.now());
        await noteDeletions(writing(copy), [{ ...deletion, deletedAt }]);
      }),
    );
    if (noted.some(({ status }) => status === 'fulfilled')) memory.remember([{ ...deletion, deletedAtMs }]);
    return noted;
  };

  return {
    async delete(request, askedAtMs = performance.now()) {
      await sleep(Math.max(0, askedAtMs + marginMs - performance.now()));
      const id = randomUUID();
      const noted = await note(id, request);
      const count = noted.filter(({ status }) => status === 'fulfilled').length;
      if (count < acks) {
        throw new Failure(
          'too_few_copies',
          `${count} of ${copies.length} databases have noted the deletion, ${acks} needed`,
        );
      }
      const endMs = performance.now() + waitMs;
      const outcomes = await Promise.all(
        copies.map(async (copy, index): Promise<DeletionOutcome> => {
          const { name: database } = copy.database;
          const noting = noted[index];
          let deleted = 0;
          const failed = (error: unknown) => ({ database, outcome: toFailure(error).code, deleted, isDone: false });
          if (noting?.status === 'rejected') return failed(noting.reason);
          try {
            const isDone = await applyDeletion(writing(copy), id, (deletedNow) => {
              deleted += deletedNow;
              return performance.now() < endMs;
            });
            // Others may have taken some of it.
            const count = await countDeleted(writing(copy), id);
            return { database, outcome: 'ok', deleted: count ?? deleted, isDone: isDone && count !== undefined };
          } catch (error) {
            return failed(error);
          }
        }),
      );
      return { id, outcomes };
    },
  };
}

export interface SyncDeletionsOptions {
  readonly memory: DeletionMemory;
  /** Asked after each step. */
  readonly mayGoOn: () => boolean | Promise<boolean>;
  /** Is told that a database could not be given a deletion, or apply it; it is left to the next time. */
  readonly onFailed: (database: string, failure: Failure) => void;
}

/**
 * Gives every database that takes writes the deletions that the others know, and applies those that are not applied.
 *
 * @throws Failure when a database cannot be read.
 */
export async function syncDeletions(
  copies: readonly Copy[],
  { memory, mayGoOn, onFailed }: SyncDeletionsOptions,
): Promise<void> {
  const digests = await Promise.all(copies.map((copy) => digestDeletions(reading(copy))));
  const isSame = digests.every(({ digest }) => digest === digests[0]?.digest);
  if (isSame && digests.every(({ unsettled }) => unsettled === 0)) return;
  const known = await Promise.all(copies.map((copy) => readDeletions(reading(copy))));
  const seen = known.flatMap((deletions, index) => {
    const clock = digests[index]?.clock;
    return clock ? toSeen(deletions, clock) : [];
  });
  memory.remember(seen);
  const all = memory.with(seen);
  await Promise.all(
    copies.map(async (copy, index) => {
      if (!copy.isWritable()) return;
      const ids = new Set(known[index]?.map(({ id }) => id));
      try {
        await passDeletionsOn(
          writing(copy),
          all.filter(({ id }) => !ids.has(id)),
        );
        for (const id of await unsettledDeletions(reading(copy))) {
          if (!(await applyDeletion(writing(copy), id, mayGoOn))) return;
        }
      } catch (error) {
        onFailed(copy.database.name, toFailure(error));
      }
    }),
  );
}
