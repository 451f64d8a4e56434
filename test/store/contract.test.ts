import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { freshDatabase } from '../support/fresh-database.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { describeStoreContract } from './contract.ts';

const observe = () => undefined;

async function createFreshPostgresStore() {
  return createPostgresStore({ database: await freshDatabase(), observe });
}

describeStoreContract('the fake in memory', createMemoryStore);

describeStoreContract('one database', createFreshPostgresStore);

describeStoreContract('three databases', async () => {
  const stores = await Promise.all([
    createFreshPostgresStore(),
    createFreshPostgresStore(),
    createFreshPostgresStore(),
  ]);
  return createRedundantStore({
    databases: stores.map((store, index) => ({ name: `db${index + 1}`, store })),
    acks: 1,
    writeTimeoutMs: 30_000,
    readTimeoutMs: 30_000,
    observe,
  });
});
