import type { SeenDeletion } from './deletions.ts';

/** A few megabytes. Older ones are with the databases, most likely with all of them. */
const deletionsMax = 10_000;

/**
 * The deletions that this process has seen. A database that returns gets them, even if the database that knows them is away by
 * then.
 */
export interface DeletionMemory {
  /** Keeps what it remembers already as it is. */
  remember(seen: readonly SeenDeletion[]): void;
  /** All remembered deletions and the given ones, each once. A remembered one takes precedence. */
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
