/**
 * Of each summary that was sent: when it was put there, and when it was deleted.
 *
 * A deletion covers what was acknowledged before it was asked for, and nothing of what was sent after its answer. What was on its
 * way at that time may stay or go, and so may what nobody knows to be stored.
 */
import { acknowledgedMs, type DeleteOperation, keyOf, type Operation, operationsOf, type Sent } from '../history.ts';

/** A write with all of its tries, or an import. */
interface Put {
  readonly beganMs: number;
  /** Of its last try. */
  readonly endedMs: number;
  /** Undefined: nobody knows whether it is stored. */
  readonly acknowledgedMs: number | undefined;
}

/** One summary. */
export interface Life {
  readonly summary: Sent;
  readonly puts: readonly Put[];
  readonly deletions: readonly DeleteOperation[];
}

/** What is to be found of a summary in the end. */
export type Fate = 'there' | 'gone' | 'either';

/** All that were sent, by their keys. */
export function livesOf(history: readonly Operation[]): ReadonlyMap<string, Life> {
  const byName = Map.groupBy(operationsOf(history, 'delete'), ({ name }) => name);
  const lives = new Map<string, { summary: Sent; puts: Put[]; deletions: DeleteOperation[] }>();
  for (const { summaries, put } of putsOf(history)) {
    for (const summary of summaries) {
      const known = lives.get(keyOf(summary));
      const deletions = () => (byName.get(summary.name) ?? []).filter((deletion) => covers(deletion, summary));
      const life = known ?? { summary, puts: [], deletions: deletions() };
      life.puts.push(put);
      if (!known) lives.set(keyOf(summary), life);
    }
  }
  return lives;
}

function putsOf(history: readonly Operation[]): { readonly summaries: readonly Sent[]; readonly put: Put }[] {
  const writes = operationsOf(history, 'write').map((write) => {
    const [first, last] = [write.tries[0], write.tries.at(-1)];
    const times = { beganMs: first?.beganMs ?? 0, endedMs: last?.endedMs ?? 0 };
    return { summaries: write.summaries, put: { ...times, acknowledgedMs: acknowledgedMs(write) } };
  });
  const imports = operationsOf(history, 'import').map(({ summaries, beganMs, endedMs, status }) => {
    return { summaries, put: { beganMs, endedMs, acknowledgedMs: status === 201 ? endedMs : undefined } };
  });
  return [...writes, ...imports];
}

function covers({ from, to }: DeleteOperation, { bucket }: Sent): boolean {
  return bucket >= from && bucket <= to;
}

/** One without an answer may be under way for ever. */
function endOf({ status, endedMs }: DeleteOperation): number {
  return status === undefined ? Number.POSITIVE_INFINITY : endedMs;
}

/** What is to be found of a summary at the end. */
export function fateOf({ puts, deletions }: Life): Fate {
  const isKept = ({ beganMs, acknowledgedMs }: Put) =>
    acknowledgedMs !== undefined && deletions.every((deletion) => endOf(deletion) <= beganMs);
  if (puts.some(isKept)) return 'there';
  const isDeletedBy = (deletion: DeleteOperation) =>
    deletion.status === 200 && puts.every((put) => put.acknowledgedMs !== undefined && put.endedMs <= deletion.beganMs);
  return deletions.some(isDeletedBy) ? 'gone' : 'either';
}

/** Whether whoever reads all of a series from one time to another has to find a summary. */
export function isThereDuring({ puts, deletions }: Life, beganMs: number, endedMs: number): boolean {
  return puts.some(
    (put) =>
      put.acknowledgedMs !== undefined &&
      put.acknowledgedMs < beganMs &&
      deletions.every((deletion) => endOf(deletion) <= put.beganMs || deletion.beganMs >= endedMs),
  );
}
