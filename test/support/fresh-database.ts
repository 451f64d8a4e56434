import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { inject } from 'vitest';
import { createDatabase, type Database, type DatabaseOptions } from '../../src/database/database.ts';
import { createIdentities } from '../../src/database/identities.ts';
import { whenFinished } from './cleanup.ts';
import { templateDatabase } from './global-setup.ts';

/** A database of one test's own on the shared server, gone when the test has finished. Migrated unless said otherwise. */
export async function freshDatabaseUrl({ isMigrated = true } = {}): Promise<URL> {
  const serverUrl = new URL(inject('postgresUrl'));
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await runSql(serverUrl, `create database ${name} ${isMigrated ? `template ${templateDatabase}` : ''}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  // A clone carries the identity of its template, and would pass for the same database.
  if (isMigrated) await runSql(url, 'update database_identity set id = gen_random_uuid()');
  whenFinished(() => runSql(serverUrl, `drop database ${name} with (force)`));
  return url;
}

/** A started database on the shared server, closed when the test has finished. */
export async function freshDatabase(options: Partial<DatabaseOptions> = {}): Promise<Database> {
  const database = createDatabase({
    name: 'db1',
    url: options.url ?? (await freshDatabaseUrl()),
    poolSizeMax: 4,
    connectTimeoutMs: 10_000,
    timeoutMs: { write: 30_000, read: 30_000, maintain: 30_000 },
    claimIdentity: createIdentities(),
    observe: () => undefined,
    ...options,
  });
  whenFinished(() => database.close());
  await database.start();
  return database;
}

/** Runs SQL on a connection of its own, as an operator would behind our back. */
export async function runSql(url: URL, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url.href });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query(text, values);
    return rows;
  } finally {
    await client.end();
  }
}
