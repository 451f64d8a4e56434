import { Client } from 'pg';
import { onTestFinished } from 'vitest';

/** Keeps every insert into a database waiting, until the function that it returns is called. */
export async function blockInserts(url: URL): Promise<() => Promise<void>> {
  const client = new Client({ connectionString: url.href });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end().catch(() => undefined));
  await client.query('begin; lock table summaries in exclusive mode');
  return async () => void (await client.query('commit'));
}
