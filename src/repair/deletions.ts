/**
 * Deletions, in all databases: each keeps a row of every deletion, and whether it has applied it. Who asks for one notes it
 * where he can; from there every other database gets it, before repair copies anything (`coverage.ts` says what it may copy then).
 */
import { randomUUID } from 'node:crypto';
import {
  applyDeletion,
  digestDeletions,
  noteDeletions,
  type Run,
  readDeletions,
  reopenDeletions,
  unsettledDeletions,
} from '../database/deletions.ts';
import type { Purpose } from '../database/pools.ts';
import type { Deleter, Deletion, DeletionOutcome } from '../domain/deletion.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import type { Copy } from './copy.ts';

/** Who asks waits so long; what is left then goes by and by. */
const waitMs = 5_000;

/** Ids tell the millisecond: what was written in this one is covered too. */
const clockTickSeconds = 0.001;

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
  /** Unix seconds. */
  readonly now: () => number;
}

/** Deletes as `Deleter` promises. */
export function createDeleter({ copies, acks, now }: DeleterOptions): Deleter {
  return {
    async delete(request) {
      const deletion: Deletion = { ...request, id: randomUUID(), deletedAt: now() + clockTickSeconds };
      const noted = await Promise.allSettled(copies.map((copy) => noteDeletions(writing(copy), [deletion])));
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
          const note = noted[index];
          const failed = (error: unknown) =>
            ({ database, outcome: toFailure(error).code, deleted: 0, isDone: false }) as const;
          if (note?.status === 'rejected') return failed(note.reason);
          const applied = applyDeletion(writing(copy), deletion.id, () => performance.now() < endMs);
          return applied.then((result) => ({ database, outcome: 'ok', ...result }), failed);
        }),
      );
      return { id: deletion.id, outcomes };
    },
  };
}

export interface SyncDeletionsOptions {
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
  { mayGoOn, onFailed }: SyncDeletionsOptions,
): Promise<void> {
  const digests = await Promise.all(copies.map((copy) => digestDeletions(reading(copy))));
  const isSame = digests.every(({ digest }) => digest === digests[0]?.digest);
  if (isSame && digests.every(({ unsettled }) => unsettled === 0)) return;
  const known = await Promise.all(copies.map((copy) => readDeletions(reading(copy))));
  const all = [...new Map(known.flat().map((deletion) => [deletion.id, deletion])).values()];
  await Promise.all(
    copies.map(async (copy, index) => {
      if (!copy.isWritable()) return;
      const ids = new Set(known[index]?.map(({ id }) => id));
      const unknown = all.filter(({ id }) => !ids.has(id));
      try {
        if (unknown.length > 0) await noteDeletions(writing(copy), unknown);
        for (const id of await unsettledDeletions(reading(copy))) {
          if (!(await applyDeletion(writing(copy), id, mayGoOn)).isDone) return;
        }
      } catch (error) {
        onFailed(copy.database.name, toFailure(error));
      }
    }),
  );
}

/** Has a database apply deletions again whose summaries it holds, because they came late. */
export async function deleteAgain(copy: Copy, deletions: ReadonlySet<string>): Promise<void> {
  if (deletions.size > 0) await reopenDeletions(writing(copy), [...deletions]);
}
