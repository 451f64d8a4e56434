import { once } from 'node:events';
import { get, type IncomingMessage, request } from 'node:http';
import { createGunzip, gunzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import { createSeriesGroups, type SeriesGroups } from '../../src/domain/series-groups.ts';
import type { Store } from '../../src/domain/store.ts';
import { acceptsGzip } from '../../src/http/gzip.ts';
import { serveHttp } from '../../src/http/server.ts';
import { connectRaw, rawRequest } from '../support/raw-client.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';
import { createTestApp, now, type TestAppOptions } from '../support/test-app.ts';

const gzip = { 'Accept-Encoding': 'gzip' };

async function serve(options: TestAppOptions = {}, timeoutMs = 30_000) {
  const tested = createTestApp(options);
  const server = await serveHttp(tested.app, { host: '127.0.0.1', port: 0, timeoutMs });
  onTestFinished(() => server.stop(0));
  return { ...tested, port: server.port, url: `http://127.0.0.1:${server.port}` };
}

/** The bytes of an answer as they are sent. */
async function fetchBytes(url: string, headers: Record<string, string> = {}, method = 'GET') {
  const asking = request(url, { headers, method }).end();
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { response, headers: response.headers, bytes: Buffer.concat(chunks) };
}

/** Values that no compressor makes much smaller, so that what is sent is felt. */
function noise(name: string, groups: number): SeriesGroups {
  const series = createSeriesGroups(name, groups);
  for (const column of Object.values(series.statistics)) {
    for (let index = 0; index < groups; index += 1) column[index] = Math.random();
  }
  return series;
}

/** Answers of so many pages, some 600 kB of text each; each waits for its turn. */
function storeOf(
  count: number,
  before: (page: number) => Promise<unknown> | undefined = () => undefined,
  page = [noise('a', 2_000)],
) {
  const close = vi.fn(async () => undefined);
  const made: number[] = [];
  const aggregate: Store['aggregate'] = async () => ({
    outcomes: [{ database: 'db1', outcome: 'ok' }],
    complete: true,
    pages: (async function* () {
      for (let index = 0; index < count; index += 1) {
        made.push(index);
        await before(index);
        yield page;
      }
    })(),
    close,
  });
  return { store: { ...createTestApp().memory, aggregate }, close, made };
}

test.each([
  [undefined, false],
  ['', false],
  ['identity', false],
  ['gzip', true],
  ['GZIP', true],
  ['x-gzip', true],
  ['br, gzip, zstd', true],
  ['gzip;q=0', false],
  ['gzip; q=0.000', false],
  ['gzip ; q=0.001', true],
  ['gzip;q=1.0', true],
  ['gzip;level=9;q=0', false],
  ['gzip;q=2', false],
  ['gzip;q=', false],
  ['*', true],
  ['*;q=0', false],
  ['*;q=0, gzip', true],
  ['*, gzip;q=0', false],
  ['br;q=1, gzip;q=0.5', true],
  ['notgzip, gzip2', false],
  ['deflate, *;q=0.1', true],
] as const)('Accept-Encoding %j takes gzip: %j', (header, expected) => {
  expect(acceptsGzip(header)).toBe(expected);
});

describe('an answer of more than a kilobyte', () => {
  const names = Array.from({ length: 30 }, (_, index) => `foo.bar.${index}`);

  const paths = ['/metrics', '/metrics?format=csv', '/metrics/names', '/openapi.json', '/docs/swagger-ui.css', '/'];

  test.each(paths)('is compressed for those who take that, the same to the byte: %s', async (path) => {
    const { memory, url } = await serve();
    await memory.write(names.map((name) => summaryOf({ name, bucket: now })));
    const plain = await fetchBytes(url + path);
    const packed = await fetchBytes(url + path, gzip);
    const refused = await fetchBytes(url + path, { 'Accept-Encoding': 'gzip;q=0' });
    expect(plain.bytes.length).toBeGreaterThan(1_024);
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(packed.bytes.length).toBeLessThan(plain.bytes.length / 2);
    expect(packed.headers['content-length']).toBe(String(packed.bytes.length));
    expect(gunzipSync(packed.bytes).equals(plain.bytes)).toBe(true);
    expect(refused.bytes.equals(plain.bytes)).toBe(true);
    for (const { headers } of [plain, refused]) expect(headers['content-encoding']).toBeUndefined();
    for (const { headers } of [plain, packed, refused]) expect(headers.vary).toMatch(/Accept-Encoding/);
  });

  test.each(paths)('has a HEAD without a body, with the same type: %s', async (path) => {
    const { memory, url } = await serve();
    await memory.write(names.map((name) => summaryOf({ name, bucket: now })));
    const got = await fetchBytes(url + path, gzip);
    const { bytes, headers, response } = await fetchBytes(url + path, gzip, 'HEAD');
    expect([response.statusCode, bytes.length]).toEqual([200, 0]);
    expect(headers['content-type']).toBe(got.headers['content-type']);
    expect(headers.vary).toBe(got.headers.vary);
    expect([undefined, got.headers['content-length']]).toContain(headers['content-length']);
  });

  test('says all that it varies by, also to other origins', async () => {
    const { memory, url } = await serve({ corsOrigins: ['https://charts.example.com'] });
    await memory.write(names.map((name) => summaryOf({ name, bucket: now })));
    for (const path of paths) {
      const { headers } = await fetchBytes(url + path, { ...gzip, Origin: 'https://charts.example.com' });
      expect([path, headers.vary]).toEqual([path, expect.stringMatching(/Origin/)]);
      expect([path, headers.vary]).toEqual([path, expect.stringMatching(/Accept-Encoding/)]);
    }
  });
});

test('an answer of less is sent as it is, and so is a problem', async () => {
  const { memory, url } = await serve();
  await memory.write([summaryOf({ bucket: now })]);
  for (const path of [
    '/metrics',
    '/metrics?format=csv',
    '/metrics/names',
    '/-/status',
    '/metrics?from=x',
    '/nowhere',
  ]) {
    const { headers, bytes } = await fetchBytes(url + path, gzip);
    expect([path, headers['content-encoding']]).toEqual([path, undefined]);
    expect(bytes.length).toBeLessThan(1_024);
  }
});

describe('an answer of many pages, compressed', () => {
  test('is whole, and each piece arrives when it is made', async () => {
    const { promise: waiting, resolve: goOn } = Promise.withResolvers<void>();
    // So little when it is compressed that a compressor would rather wait for more.
    const zeros = [createSeriesGroups('a', 4_000)];
    const { store, close } = storeOf(12, (page) => (page === 10 ? waiting : undefined), zeros);
    const { url } = await serve({ store });
    const [response] = (await once(get(`${url}/metrics`, { headers: gzip }), 'response')) as [IncomingMessage];
    const text: string[] = [];
    const unpacked = response.pipe(createGunzip()).setEncoding('utf8');
    unpacked.on('data', (part) => text.push(part));
    // All that was made but what waits to be a piece.
    const length = () => text.reduce((sum, part) => sum + part.length, 0);
    await eventually(() => expect(length()).toBeGreaterThan(5_500_000));
    goOn();
    await once(unpacked, 'end');
    expect(JSON.parse(text.join(''))).toHaveLength(12);
    await eventually(() => expect(close).toHaveBeenCalled());
  });

  test('is cut off when it fails in the middle, and no part of it is a whole', async () => {
    const { store, close } = storeOf(12, (page) =>
      page === 10 ? Promise.reject(new Failure('incomplete', 'db1 failed in the middle of the answer')) : undefined,
    );
    const { url } = await serve({ store });
    const response = await fetch(`${url}/metrics`, { headers: gzip });
    expect(response.headers.get('Content-Encoding')).toBe('gzip');
    await expect(response.text()).rejects.toThrow();
    expect(close).toHaveBeenCalled();
  });

  test('is made no faster than it is taken, and not at all when its client has left', async () => {
    const { store, close, made } = storeOf(1_000);
    const { url } = await serve({ store });
    const leaving = new AbortController();
    await fetch(`${url}/metrics`, { headers: gzip, signal: leaving.signal });
    let before = 0;
    await eventually(async () => {
      before = made.length;
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(made.length).toBe(before);
    });
    expect(before).toBeLessThan(300);
    leaving.abort();
    await eventually(() => expect(close).toHaveBeenCalled());
    expect(made.length).toBeLessThan(before + 10);
  });

  test('is cut off when it is not taken, and its turn is that of others', async () => {
    const { store, close } = storeOf(400);
    const { port } = await serve({ store, readsMax: 1 }, 1_500);
    const client = await connectRaw(port);
    client.socket.pause().write(rawRequest(['GET /metrics HTTP/1.1', 'Host: a', 'Accept-Encoding: gzip']));
    await eventually(() => expect(close).toHaveBeenCalled());
    client.socket.resume();
    expect(await client.closed()).not.toMatch(/\r\n0\r\n\r\n$/);
  });
});
