import { spawn } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { connect, getDefaultAutoSelectFamilyAttemptTimeout, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl } from '../support/fresh-database.ts';
import { summaryOf } from '../support/summaries.ts';

/** Nobody listens there. */
const refusing = '127.0.0.2';
/** Connections there are never answered. */
const silent = '127.0.0.3';

const isLocal = inject('postgresUrl').includes('@127.0.0.1:');

/** Lets a host name have these addresses, in this order, until the test has finished. */
function resolveTo(host: string, addresses: () => readonly string[]): void {
  const original = dns.lookup;
  const lookup = (name: string, options: dns.LookupOptions, done: (...answer: unknown[]) => void) => {
    if (name !== host) return original(name, options as dns.LookupAllOptions, done as never);
    const found = addresses().map((address) => ({ address, family: 4 }));
    if (options.all) done(null, found);
    else done(null, found[0]?.address, 4);
  };
  vi.spyOn(dns, 'lookup').mockImplementation(lookup as never);
  onTestFinished(() => void vi.restoreAllMocks());
}

/** Has a port of an address accept nothing and refuse nothing: a process that is stopped, whose backlog is full. */
async function fallSilent(port: number): Promise<void> {
  const program = `require('node:net').createServer().listen({ port: ${port}, host: '${silent}', backlog: 1 }, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  child.kill('SIGSTOP');
  const waiting: Socket[] = [];
  onTestFinished(() => {
    for (const socket of waiting) socket.destroy();
  });
  for (let count = 0; count < 5; count += 1) {
    const socket = connect(port, silent);
    socket.on('error', () => undefined);
    waiting.push(socket);
    await Promise.race([once(socket, 'connect'), sleep(200)]);
  }
}

async function prepare(addresses: () => readonly string[]): Promise<URL> {
  const url = await freshDatabaseUrl();
  await fallSilent(Number(url.port));
  url.hostname = 'several.test';
  resolveTo(url.hostname, addresses);
  return url;
}

test.skipIf(!isLocal).each([
  ['the first refuses', [refusing, '127.0.0.1']],
  ['the first is silent', [silent, '127.0.0.1']],
  ['two are dead', [silent, refusing, '127.0.0.1']],
  ['the last is silent', ['127.0.0.1', silent]],
])('a host of several addresses is used when %s', async (_, addresses) => {
  const database = await freshDatabase({ url: await prepare(() => addresses) });
  expect(database.status().state).toBe('up');
  const store = createPostgresStore({ database, observe: () => undefined });
  await store.write([summaryOf()]);
  expect((await store.select({ namePattern: undefined, from: 0, to: 4e9 })).summaries).toHaveLength(1);
});

test.skipIf(!isLocal)('a host whose addresses are all dead is down, and used when it has another one', async () => {
  let addresses = [silent, refusing];
  const url = await prepare(() => addresses);
  const database = await freshDatabase({ url, connectTimeoutMs: 3_000 });
  expect(database.status()).toMatchObject({
    state: 'down',
    lastFailure: { code: expect.toBeOneOf(['timeout', 'unreachable']) },
  });
  addresses = [silent, '127.0.0.1'];
  await vi.waitUntil(() => database.status().state === 'up', { timeout: 20_000 });
});

test('an address has the time of several round trips over a slow network', () => {
  expect(getDefaultAutoSelectFamilyAttemptTimeout()).toBeGreaterThanOrEqual(1_000);
});
