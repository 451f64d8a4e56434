import { Client } from 'pg';
import { whenFinished } from './cleanup.ts';

/** Locks that somebody holds in some databases. */
export interface HeldLocks {
  release(): Promise<void>;
}

/** Runs SQL in each of some databases as an operator would, in a transaction that stays open until it is released. */
export async function holdLocks(urls: readonly URL[], sql: string): Promise<HeldLocks> {
  const clients = urls.map((url) => new Client({ connectionString: url.href }));
  for (const client of clients) client.on('error', () => undefined);
  const end = () => Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  whenFinished(end);
  await Promise.all(
    clients.map(async (client) => {
      await client.connect();
      await client.query('begin');
      await client.query(sql);
    }),
  );
  return {
    async release() {
      await Promise.all(clients.map((client) => client.query('rollback')));
      await end();
    },
  };
}
