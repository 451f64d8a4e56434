import type { SeenDeletion } from './deletions.ts';

/** A few megabytes. Older ones are with the databases, most likely with all of them. */
const deletionsMax = 10_000;

/**
 * The deletions that this process has seen: a database that returns gets them, also when the one that knows them is away by
 * then.
 */
export interface DeletionMemory {
  /** Those that are known stay as they are. */
  remember(seen: readonly SeenDeletion[]): void;
  /** All that are remembered, and what of these is not. Of both, what is remembered goes first. */
  with(seen: readonly SeenDeletion[]): SeenDeletion[];
}

/** Remembers nothing yet. */
export function createDeletionMemory(): DeletionMemory {
  const known = new Map<string, SeenDeletion>();
  return {
    remember(seen) {
      for (const deletion of seen) if (!known.has(deletion.id)) known.set(deletion.id, deletion);
      for (const id of known.keys()) {
        if (known.size <= deletionsMax) break;
        known.delete(id);
      }
    },
    with: (seen) => [...new Map([...seen.map((one) => [one.id, one] as const), ...known]).values()],
  };
}
