import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createSeriesGroups } from '../../src/domain/series-groups.ts';
import type { Store } from '../../src/domain/store.ts';
import { serveHttp } from '../../src/http/server.ts';
import { connectRaw, rawRequest } from '../support/raw-client.ts';
import { eventually } from '../support/service-process.ts';
import { createTestApp, now } from '../support/test-app.ts';

/** Databases that take a while, so that the client has long ended its half when the answer is made. */
const slowMs = 150;

async function serve(timeoutMs = 30_000) {
  const { memory } = createTestApp();
  const store: Store = {
    ...memory,
    write: (...given) => sleep(slowMs).then(() => memory.write(...given)),
    aggregate: (...given) => sleep(slowMs).then(() => memory.aggregate(...given)),
    names: (...given) => sleep(slowMs).then(() => memory.names(...given)),
  };
  const tested = createTestApp({ store });
  const { port, stop } = await serveHttp(tested.app, { host: '127.0.0.1', port: 0, timeoutMs });
  onTestFinished(() => stop(0));
  return { ...tested, memory, port, stop };
}

const json = JSON.stringify({ name: 'a', bucket: now, value: 1 });
const post = (path: string, body: string, ...headers: string[]) =>
  rawRequest([`POST ${path} HTTP/1.1`, 'Host: a', `Content-Length: ${Buffer.byteLength(body)}`, ...headers], body);
const get = (path: string, ...headers: string[]) => rawRequest([`GET ${path} HTTP/1.1`, 'Host: a', ...headers]);

describe('a client that ends its half of the connection after', () => {
  test.each([
    ['a write', post('/metrics', json), /^HTTP\/1\.1 201 [\s\S]*"[\da-f-]{36}"$/],
    ['a bulk load', post('/metrics', `${json}\n`.repeat(3), 'Content-Type: application/x-ndjson'), /"stored":3/],
    [
      'a bulk load in chunks',
      rawRequest(
        ['POST /metrics HTTP/1.1', 'Host: a', 'Content-Type: application/x-ndjson', 'Transfer-Encoding: chunked'],
        `${json.length.toString(16)}\r\n${json}\r\n0\r\n\r\n`,
      ),
      /"stored":1/,
    ],
    ['a log drain', post('/logs', 'measure#a=1\n'), /^HTTP\/1\.1 200 /],
    ['a read', get('/metrics'), /^HTTP\/1\.1 200 [\s\S]*\[\]$/],
    ['a search for names', get('/metrics/names'), /^HTTP\/1\.1 200 [\s\S]*\[\]$/],
    ['a read over HTTP/1.0', 'GET /metrics HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200 [\s\S]*\[\]$/],
    ['a write that is refused', post('/metrics', '{}'), /^HTTP\/1\.1 422 /],
  ])('%s is answered, and the connection is closed', async (_, request, expected) => {
    const { port } = await serve();
    const client = await connectRaw(port);
    client.socket.end(request);
    expect(await client.closed()).toMatch(expected);
  });

  test('several requests is answered each of them, in their order', async () => {
    const { port } = await serve();
    const client = await connectRaw(port);
    client.socket.end(post('/metrics', json) + get('/metrics') + get('/-/healthy') + post('/metrics', '{}'));
    const statuses = (await client.closed()).match(/HTTP\/1\.1 \d+/g)?.map((line) => line.slice(-3));
    expect(statuses).toEqual(['201', '200', '200', '422']);
  });

  test('a part of a request is told so', async () => {
    const { port, memory } = await serve();
    for (const part of [post('/metrics', json).slice(0, -5), 'POST /metrics HTTP/1.1\r\nHost: a\r\n']) {
      const client = await connectRaw(port);
      client.socket.end(part);
      expect(await client.closed()).toMatch(/^HTTP\/1\.1 400 /);
    }
    expect(memory.calls.write).toBe(0);
  });

  test('nothing is not kept', async () => {
    const { port } = await serve();
    const fresh = await connectRaw(port);
    fresh.socket.end();
    expect(await fresh.closed()).toBe('');
    const used = await connectRaw(port);
    used.socket.write(get('/-/healthy'));
    await used.receives(/healthy\n/);
    used.socket.end();
    expect(await used.closed()).toMatch(/healthy\n$/);
  });
});

test('a client that has ended its half and takes nothing of a large answer is cut off', async () => {
  const { memory } = createTestApp();
  const pages = (async function* () {
    for (let page = 0; page < 200; page += 1) yield [createSeriesGroups(`name.${page}`, 2_000)];
  })();
  let closed = 0;
  const close = async () => {
    closed += 1;
  };
  const aggregate: Store['aggregate'] = async () => ({ outcomes: [], complete: true, pages, close });
  const { app } = createTestApp({ store: { ...memory, aggregate } });
  const { port, stop } = await serveHttp(app, { host: '127.0.0.1', port: 0, timeoutMs: 1_000 });
  onTestFinished(() => stop(0));
  const client = await connectRaw(port);
  client.socket.pause().end(get('/metrics'));
  await eventually(() => expect(closed).toBeGreaterThan(0));
});

test('many that end their half, or all of it, leave nothing behind', async () => {
  const { port, stop, memory } = await serve();
  const clients = await Promise.all(Array.from({ length: 60 }, () => connectRaw(port)));
  for (const [index, { socket }] of clients.entries()) {
    socket.write(post('/metrics', json));
    // Gone altogether, some with a reset: nobody takes their answers.
    if (index % 3 === 0) socket.end();
    else if (index % 3 === 1) setTimeout(() => socket.destroy(), 20);
    else setTimeout(() => socket.resetAndDestroy(), 20);
  }
  await Promise.all(clients.map(({ closed }) => closed()));
  await eventually(() => expect(memory.calls.write).toBe(60));
  const begun = performance.now();
  // With a connection left it would wait for that.
  await stop(20_000);
  expect(performance.now() - begun).toBeLessThan(5_000);
});
