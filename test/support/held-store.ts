import type { Store } from '../../src/domain/store.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';

/** A fake database that hangs: it has received every call and answers none until it is released. */
export interface HeldStore {
  readonly store: Store;
  /** What it holds; empty before the release. */
  readonly memory: MemoryStore;
  release(): void;
}

export function createHeldStore(): HeldStore {
  const memory = createMemoryStore();
  const gate = Promise.withResolvers<void>();
  const underWay: Promise<unknown>[] = [];
  const store: Store = {
    ...memory,
    write(summaries) {
      const writing = gate.promise.then(() => memory.write(summaries));
      underWay.push(writing);
      return writing;
    },
    select: (query) => gate.promise.then(() => memory.select(query)),
    aggregate: (query) => gate.promise.then(() => memory.aggregate(query)),
    names: (query) => gate.promise.then(() => memory.names(query)),
    units: (names) => gate.promise.then(() => memory.units(names)),
    async drain() {
      await Promise.allSettled(underWay);
    },
  };
  return { store, memory, release: gate.resolve };
}
