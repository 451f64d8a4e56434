import type { Config } from '../config.ts';
import type { Observe } from '../domain/observation.ts';
import type { Store } from '../domain/store.ts';
import { createPostgresStore } from '../store/postgres-store.ts';
import { createRedundantStore } from '../store/redundant-store.ts';
import type { Databases } from './databases.ts';

/** The opened databases as one store, by the configuration. */
export function openStore({ databases }: Databases, config: Config, observe: Observe): Store {
  const { writeAcks, writeTimeoutMs, readTimeoutMs } = config;
  return createRedundantStore({
    databases: databases.map((database) => ({
      name: database.name,
      store: createPostgresStore({ database, observe }),
    })),
    acks: writeAcks,
    writeTimeoutMs,
    readTimeoutMs,
    observe,
  });
}
