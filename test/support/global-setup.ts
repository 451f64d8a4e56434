import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/database/migrate.ts';
import { startTestServer } from './postgres-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the shared server, as a superuser. */
    postgresUrl: string;
  }
}

/** The database that fresh ones are cloned from: migrated once, which takes longer than a clone. */
export const templateDatabase = 'm2pg_template';

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startTestServer(process.env.TEST_POSTGRES);
  const admin = new Client({ connectionString: server.url.href });
  await admin.connect();
  await admin.query(`create database ${templateDatabase}`);
  await admin.end();
  const templateUrl = new URL(server.url);
  templateUrl.pathname = `/${templateDatabase}`;
  const client = new Client({ connectionString: templateUrl.href });
  await client.connect();
  await migrate(client);
  await client.end();
  project.provide('postgresUrl', server.url.href);
  return () => server.stop();
}
