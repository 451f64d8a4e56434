/**
 * What of the summaries that databases hold is deleted, and must not be copied.
 *
 * An id of version 7 tells whether it was made before a deletion. Any other id tells nothing: in a database that has applied the
 * deletion it was sent afterwards, in one that has not yet it may be what was deleted. So a database that cannot apply a
 * deletion, because it takes no writes, is no source of what the deletion covers until it has.
 *
 * A deletion may come while summaries are being read. One that is known when they have been read counts as applied only
 * where it was applied before.
 */
import { digestDeletions, type KnownDeletion, type Run, readDeletions } from '../database/deletions.ts';
import type { Deletion } from '../domain/deletion.ts';
import type { Summary } from '../domain/summary.ts';
import type { Copy } from './copy.ts';

/** The deletions that any database knows, and which of them each has applied. */
export interface KnownDeletions {
  readonly byName: ReadonlyMap<string, readonly Deletion[]>;
  readonly appliedIn: ReadonlyMap<Copy, ReadonlySet<string>>;
}

/**
 * Creates what reads all deletions. They may be many: they are read only where something has changed since the last time.
 *
 * @returns Rejects with a Failure when a database does not answer.
 */
export function createDeletionsReader(copies: readonly Copy[]): () => Promise<KnownDeletions> {
  let latest: { state: string; known: KnownDeletions } | undefined;
  return async () => {
    const digests = await Promise.all(copies.map((copy) => digestDeletions(runOn(copy))));
    const state = digests.map(({ digest, unapplied }) => `${digest} ${unapplied}`).join();
    if (latest?.state !== state) {
      const known = await Promise.all(copies.map((copy) => readDeletions(runOn(copy))));
      latest = { state, known: toKnown(copies, known) };
    }
    return latest.known;
  };
}

/** Tells which deletion covers a summary that a database holds or is to get, if any does. */
export type CoveredBy = (copy: Copy, summary: Summary) => Deletion | undefined;

/** What deletions cover of summaries that were read after the first look at them, and before the last. */
export function coverage(first: KnownDeletions, last: KnownDeletions): CoveredBy {
  return (copy, { name, bucket, id }) => {
    const wasSentBefore = (deletion: Deletion) => {
      const madeAt = madeAtOf(id);
      return madeAt === undefined ? !first.appliedIn.get(copy)?.has(deletion.id) : madeAt < deletion.deletedAt;
    };
    return last.byName
      .get(name)
      ?.find((deletion) => bucket >= deletion.from && bucket <= deletion.to && wasSentBefore(deletion));
  };
}

const runOn =
  ({ database }: Copy): Run =>
  (text, values = []) =>
    database.query('repair', { text, values });

function toKnown(copies: readonly Copy[], known: readonly (readonly KnownDeletion[])[]): KnownDeletions {
  const all = new Map(known.flat().map((deletion) => [deletion.id, deletion]));
  const appliedIn = copies.map((copy, index) => {
    const applied = known[index]?.filter(({ isApplied }) => isApplied) ?? [];
    return [copy, new Set(applied.map(({ id }) => id))] as const;
  });
  return { byName: Map.groupBy(all.values(), ({ name }) => name), appliedIn: new Map(appliedIn) };
}

/** Unix seconds; undefined for ids of other versions than 7. */
function madeAtOf(id: string): number | undefined {
  return id[14] === '7' ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) / 1_000 : undefined;
}
