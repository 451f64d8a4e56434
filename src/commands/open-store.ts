import type { Config } from '../config.ts';
import type { Observe } from '../domain/observation.ts';
import type { Store } from '../domain/store.ts';
import { type AgreedAcks, createAgreedAcks } from '../store/agreed-acks.ts';
import { createPostgresStore } from '../store/postgres-store.ts';
import { createRedundantStore } from '../store/redundant-store.ts';
import type { Databases } from './databases.ts';

/** The store of all databases. */
export interface OpenedStore extends Store {
  /** Summaries that wait to be written to one of them. */
  pending(database: string): number;
  readonly agreed: AgreedAcks;
}

/**
 * The opened databases as one store, by the configuration.
 *
 * @param stopping Ends the waiting of reads.
 */
export function openStore(
  { databases, presence }: Databases,
  config: Config,
  observe: Observe,
  stopping?: AbortSignal,
): OpenedStore {
  const { writeAcks, writeTimeoutMs, readTimeoutMs } = config;
  const stores = databases.map((database) => ({
    name: database.name,
    store: createPostgresStore({ database, waitMs: writeTimeoutMs, observe }),
  }));
  const agreed = createAgreedAcks({ acks: writeAcks, databases, presence });
  const redundant = createRedundantStore({
    databases: stores,
    acks: writeAcks,
    agreed,
    writeTimeoutMs,
    readTimeoutMs,
    ...(stopping && { stopping }),
    observe,
  });
  const pending = (database: string) => stores.find(({ name }) => name === database)?.store.pending() ?? 0;
  return { ...redundant, pending, agreed };
}
