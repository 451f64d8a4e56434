import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTcpLink, type TcpLink } from '../test/support/tcp-link.ts';
import type { Random } from './random.ts';
import { startTortureServer, type TortureServer } from './server.ts';
import { createTortureService, type TortureService } from './service.ts';

const databases = 3;
const services = 3;

export const writeTimeoutMs = 2_000;
export const readTimeoutMs = 3_000;

/** Three databases, three services, and a link from each service to each database. */
export interface Ground {
  readonly folder: string;
  readonly servers: readonly TortureServer[];
  readonly services: readonly TortureService[];
  /** By service, then by database. */
  readonly links: readonly (readonly TcpLink[])[];
  /** Starts a service with the databases in whatever order. */
  startService(index: number): Promise<void>;
  close(): Promise<void>;
}

export interface GroundOptions {
  readonly root: string;
  readonly writeAcks: number;
  readonly random: Random;
}

/** Starts everything. */
export async function prepareGround({ root, writeAcks, random }: GroundOptions): Promise<Ground> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-torture-'));
  const names = Array.from({ length: databases }, (_, index) => `db${index + 1}`);
  const servers = await Promise.all(names.map((name) => startTortureServer(folder, name)));
  const links = await Promise.all(
    Array.from({ length: services }, () => Promise.all(servers.map(({ url }) => openTcpLink(url)))),
  );
  const environment = {
    WRITE_ACKS: String(writeAcks),
    WRITE_TIMEOUT_MS: String(writeTimeoutMs),
    READ_TIMEOUT_MS: String(readTimeoutMs),
    POOL_SIZE_MAX: '6',
  };
  const all = await Promise.all(
    links.map(async (_, index) => {
      const logFile = join(folder, `service${index + 1}.log`);
      return createTortureService({ root, port: await findFreePort(), logFile, environment });
    }),
  );
  const ground: Ground = {
    folder,
    servers,
    services: all,
    links,
    async startService(index) {
      const urls = (links[index] ?? []).map(({ url }) => url);
      const order = urls.map((url) => ({ url, at: random.next() })).toSorted((a, b) => a.at - b.at);
      await all[index]?.start(order.map(({ url }) => url));
    },
    async close() {
      await Promise.all(all.map((service) => service.end('SIGKILL')));
      await Promise.all(links.flat().map((link) => link.close()));
      for (const server of servers) server.thaw();
      await Promise.all(servers.map((server) => server.kill()));
      await rm(folder, { recursive: true, force: true });
    },
  };
  await Promise.all(all.map((_, index) => ground.startService(index)));
  return ground;
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('BUG: a TCP server without a port');
  return address.port;
}
