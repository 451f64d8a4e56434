/**
 * Deletions, in all databases: each keeps a row of every deletion, and whether it has applied it. Who asks for one notes it
 * where he can; from there every other database gets it, before repair copies anything.
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
import type { Deleter, Deletion, DeletionOutcome } from '../domain/deletion.ts';
import { Failure, toFailure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';
import type { Copy } from './copy.ts';

/** Who asks waits so long; what is left then goes by and by. */
const waitMs = 5_000;

/** Ids tell the millisecond: what was written in this one is covered too. */
const clockTickSeconds = 0.001;

const runOn =
  ({ database }: Copy): Run =>
  (text, values = []) =>
    database.query('repair', { text, values });

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
      const noted = await Promise.allSettled(copies.map((copy) => noteDeletions(runOn(copy), [deletion])));
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
          const applied = applyDeletion(runOn(copy), deletion.id, () => performance.now() < endMs);
          return applied.then((result) => ({ database, outcome: 'ok', ...result }), failed);
        }),
      );
      return { id: deletion.id, outcomes };
    },
  };
}

/**
 * Gives every database the deletions that the others know, and applies those that are not applied.
 *
 * @param mayGoOn Asked after each step.
 * @returns What reads all deletions. They may be many, and usually nobody asks for them.
 * @throws Failure when a database does not answer.
 */
export async function syncDeletions(
  copies: readonly Copy[],
  mayGoOn: () => boolean | Promise<boolean>,
): Promise<() => Promise<readonly Deletion[]>> {
  const digests = await Promise.all(copies.map((copy) => digestDeletions(runOn(copy))));
  const isSame = digests.every(({ digest }) => digest === digests[0]?.digest);
  const first = copies[0];
  if (isSame && first && digests.every(({ unsettled }) => unsettled === 0)) {
    const areNone = digests[0]?.digest.startsWith('0:');
    return async () => (areNone ? [] : readDeletions(runOn(first)));
  }
  const known = await Promise.all(copies.map((copy) => readDeletions(runOn(copy))));
  const all = [...new Map(known.flat().map((deletion) => [deletion.id, deletion])).values()];
  await Promise.all(
    copies.map(async (copy, index) => {
      if (!copy.isWritable()) return;
      const ids = new Set(known[index]?.map(({ id }) => id));
      await noteDeletions(
        runOn(copy),
        all.filter(({ id }) => !ids.has(id)),
      );
      for (const id of await unsettledDeletions(runOn(copy))) {
        if (!(await applyDeletion(runOn(copy), id, mayGoOn)).isDone) return;
      }
    }),
  );
  return async () => all;
}

/** Tells which deletion covers a summary, if any does. */
export type CoveredBy = (summary: Summary) => Deletion | undefined;

/** Of ids that do not tell when they were made nothing is known any more: they pass for new. */
export function coverage(deletions: readonly Deletion[]): CoveredBy {
  const byName = Map.groupBy(deletions, ({ name }) => name);
  return ({ name, bucket, id }) =>
    byName.get(name)?.find(({ from, to, deletedAt }) => {
      return bucket >= from && bucket <= to && madeAt(id) < deletedAt;
    });
}

/** Unix seconds; infinite for ids of other versions than 7. */
function madeAt(id: string): number {
  return id[14] === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) / 1_000 : Number.POSITIVE_INFINITY;
}

/** Has a database apply deletions again whose summaries it holds, because they came late. */
export async function deleteAgain(copy: Copy, deletions: ReadonlySet<string>): Promise<void> {
  if (deletions.size > 0 && copy.isWritable()) await reopenDeletions(runOn(copy), [...deletions]);
}
