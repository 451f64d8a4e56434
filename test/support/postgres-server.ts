import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedServer } from '../../src/embedded/server.ts';

/** A PostgreSQL server for tests. */
export interface PostgresServer {
  /** Of a superuser. */
  readonly url: URL;
  /** Of the postmaster; undefined in a container. */
  readonly pid: number | undefined;
  stop(): Promise<void>;
}

/** Tests repeat everything; their servers may forget it. */
const fastSettings = { fsync: 'off', full_page_writes: 'off', max_connections: '200' };

/** The image of the containers, the version of the embedded servers. */
const image = 'postgres:18-alpine';

/**
 * Starts the server that the tests share: in a container where a Docker engine answers, else an embedded one.
 *
 * @param choice `TEST_POSTGRES`: `containers` or `embedded` forces one, and fails when it is not to be had.
 */
export async function startTestServer(choice: string | undefined): Promise<PostgresServer> {
  if (choice !== undefined && choice !== '' && choice !== 'containers' && choice !== 'embedded') {
    throw new Error(`TEST_POSTGRES: expected containers or embedded, not ${choice}`);
  }
  if (choice === 'containers' || (choice !== 'embedded' && (await isEngineThere()))) return startContainer();
  return startEmbedded(fastSettings);
}

/** An embedded server of a test's own, which it may kill, freeze and fill. Durable, unless settings say otherwise. */
export async function startEmbedded(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-test-'));
  const server = await startEmbeddedServer(folder, 'db', settings);
  return {
    url: server.url,
    pid: server.pid,
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startContainer(): Promise<PostgresServer> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  const settings = Object.entries(fastSettings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const container = await new PostgreSqlContainer(image).withCommand(['postgres', ...settings]).start();
  return {
    url: new URL(container.getConnectionUri()),
    pid: undefined,
    async stop() {
      await container.stop();
    },
  };
}

async function isEngineThere(): Promise<boolean> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  return getContainerRuntimeClient().then(
    () => true,
    () => false,
  );
}
