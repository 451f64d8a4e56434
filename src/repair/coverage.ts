/**
 * What of the summaries that databases hold is deleted, and must not be copied.
 *
 * Each database judges what it holds by the deletions that it knows, by arrival and its own clock; of one that has settled,
 * whatever is there is alive. Of deletions that it does not know, because it was away or takes no writes, the others tell when
 * they were made. So a database is a source of a summary that a deletion covers only if the summary came after it, or the
 * deletion has settled there.
 *
 * A deletion may come while summaries are being read. One that a database did not know before counts as one that it does not
 * know.
 */
import type { ClockReading } from '../database/clocks.ts';
import { digestDeletions, type KnownDeletion, type Run, readDeletions } from '../database/deletions.ts';
import { instantsAt, momentsOf } from '../database/moments.ts';
import type { Deletion } from '../domain/deletion.ts';
import type { Summary } from '../domain/summary.ts';
import type { ArrivedSummary } from '../store/postgres-store.ts';
import type { HeldSummary } from '../store/select-statements.ts';
import type { Copy } from './copy.ts';

/** The deletions that any database knows, and what each knows of them. */
export interface KnownDeletions {
  readonly byName: ReadonlyMap<string, readonly Deletion[]>;
  readonly knownTo: ReadonlyMap<Copy, ReadonlyMap<string, KnownDeletion>>;
  readonly clocks: ReadonlyMap<Copy, ClockReading>;
}

/**
 * Creates what reads all deletions. They may be many: they are read only where something has changed since the last time.
 *
 * @returns Rejects with a Failure when a database does not answer.
 */
export function createDeletionsReader(copies: readonly Copy[]): () => Promise<KnownDeletions> {
  let latest: { state: string; known: Omit<KnownDeletions, 'clocks'> } | undefined;
  return async () => {
    const digests = await Promise.all(copies.map((copy) => digestDeletions(runOn(copy))));
    const state = digests.map(({ digest, unsettled }) => `${digest} ${unsettled}`).join();
    if (latest?.state !== state) {
      const known = await Promise.all(copies.map((copy) => readDeletions(runOn(copy))));
      latest = { state, known: toKnown(copies, known) };
    }
    const clocks = new Map(digests.map(({ clock }, index) => [copies[index] as Copy, clock]));
    return { ...latest.known, clocks };
  };
}

/** What deletions mean for summaries that are read and copied. */
export interface Coverage {
  /** The deletion that covers a summary in the database that holds it, if any does. */
  coverOf(copy: Copy, held: HeldSummary): string | undefined;
  /** When a summary that a database holds was received. */
  receiptOf(copy: Copy, held: HeldSummary): ArrivedSummary;
  /** Whether a database is about to delete a summary that it is to get: it gets it when that is done. */
  isAwaited(copy: Copy, summary: ArrivedSummary): boolean;
  /** The deletions of their names that have settled in a database: they cover nothing of what it is to get. */
  settledIn(copy: Copy, summaries: readonly ArrivedSummary[]): string[];
}

/** What deletions mean for summaries that were read after the first look at them, and before the last. */
export function coverage(first: KnownDeletions, last: KnownDeletions): Coverage {
  const rangesOf = ({ name, bucket }: Summary) =>
    (last.byName.get(name) ?? []).filter(({ from, to }) => bucket >= from && bucket <= to);
  const knownTo = (known: KnownDeletions, copy: Copy, { id }: Deletion) => known.knownTo.get(copy)?.get(id);

  return {
    coverOf(copy, { summary, arrived, coveredBy }) {
      if (coveredBy !== null) return coveredBy;
      const unknown = rangesOf(summary).filter((deletion) => !knownTo(first, copy, deletion));
      return unknown.find((deletion) => arrived < lineIn(last, copy, deletion))?.id;
    },
    receiptOf(copy, { summary, arrived }) {
      const [, receivedAtMs] = momentsOf(clockOf(last, copy), arrived);
      return { summary, receivedAtMs };
    },
    isAwaited(copy, { summary, receivedAtMs }) {
      const [, arrived] = instantsAt(clockOf(last, copy), receivedAtMs);
      const isOpen = (deletion: Deletion) => !knownTo(last, copy, deletion)?.isSettled;
      return rangesOf(summary).some((deletion) => isOpen(deletion) && arrived < lineIn(last, copy, deletion));
    },
    settledIn(copy, summaries) {
      const names = new Set(summaries.map(({ summary }) => summary.name));
      const deletions = [...names].flatMap((name) => last.byName.get(name) ?? []);
      return deletions.filter((deletion) => knownTo(last, copy, deletion)?.isSettled).map(({ id }) => id);
    },
  };
}

/** The instant, by the clock of a database, before which summaries arrived that a deletion covers. */
function lineIn({ knownTo, clocks }: KnownDeletions, copy: Copy, { id }: Deletion): number {
  const own = knownTo.get(copy)?.get(id);
  if (own) return own.deletedAt;
  const [[other, known] = []] = [...knownTo].filter(([, ofOther]) => ofOther.has(id));
  const clock = other && clocks.get(other);
  const deletedAt = known?.get(id)?.deletedAt;
  if (clock === undefined || deletedAt === undefined) throw new Error('BUG: a deletion that no database knows');
  const [momentMs] = momentsOf(clock, deletedAt);
  return instantsAt(clockOf({ clocks }, copy), momentMs)[0];
}

function clockOf({ clocks }: Pick<KnownDeletions, 'clocks'>, copy: Copy): ClockReading {
  const clock = clocks.get(copy);
  if (clock === undefined) throw new Error('BUG: a database whose deletions were not read');
  return clock;
}

const runOn =
  ({ database }: Copy): Run =>
  (text, values = []) =>
    database.query('repair', { text, values });

function toKnown(copies: readonly Copy[], known: readonly (readonly KnownDeletion[])[]) {
  const all = new Map(known.flat().map((deletion) => [deletion.id, deletion]));
  const byId = (deletions: readonly KnownDeletion[] = []) => new Map(deletions.map((one) => [one.id, one]));
  return {
    byName: Map.groupBy(all.values(), ({ name }) => name),
    knownTo: new Map(copies.map((copy, index) => [copy, byId(known[index])])),
  };
}
