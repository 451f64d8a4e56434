import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import { createSeriesGroups, type SeriesGroups } from '../../src/domain/series-groups.ts';
import type { Store } from '../../src/domain/store.ts';
import { serveHttp } from '../../src/http/server.ts';
import { renderMetrics } from '../../src/http/views/metrics.ts';
import { connectRaw, rawRequest } from '../support/raw-client.ts';
import { eventually } from '../support/service-process.ts';
import { createTestApp, type TestAppOptions } from '../support/test-app.ts';

/** A page of some 400 kB of text. */
const pageOf = (name: string): SeriesGroups[] => [createSeriesGroups(name, 2_000)];

/** A service whose answers have these pages, made one by one when they are asked for. */
function serviceOf(count: number, failsAt = Number.POSITIVE_INFINITY, options: TestAppOptions = {}) {
  const made: number[] = [];
  const close = vi.fn(async () => undefined);
  const aggregate: Store['aggregate'] = async () => ({
    outcomes: [{ database: 'db1', outcome: 'ok' }],
    complete: true,
    pages: (async function* () {
      for (let page = 0; page < count; page += 1) {
        made.push(page);
        if (page === failsAt) throw new Failure('incomplete', 'db1 failed in the middle of the answer');
        yield pageOf(`name.${page}`);
      }
    })(),
    close,
  });
  const { memory } = createTestApp();
  return { ...createTestApp({ ...options, store: { ...memory, aggregate } }), made, close };
}

async function listen(service: ReturnType<typeof serviceOf>, timeoutMs = 30_000) {
  const server = await serveHttp(service.app, { host: '127.0.0.1', port: 0, timeoutMs });
  onTestFinished(() => server.stop(0));
  return `http://127.0.0.1:${server.port}/metrics`;
}

test('an answer of many pages is one JSON text, in their order', async () => {
  const service = serviceOf(12);
  const response = await fetch(await listen(service));
  const names = ((await response.json()) as { name: string }[]).map(({ name }) => name);
  expect(names).toEqual(Array.from({ length: 12 }, (_, page) => `name.${page}`));
  await eventually(() => expect(service.close).toHaveBeenCalled());
});

test('an answer without pages is an empty array', async () => {
  const service = serviceOf(0);
  expect(await (await service.get()).json()).toEqual([]);
  expect(service.close).toHaveBeenCalled();
});

test('is made in parts of some kilobytes, however long a series is: longer ones would be garbage for long', async () => {
  const series = createSeriesGroups('a', 10_000);
  const pages = (async function* () {
    yield [series, createSeriesGroups('b', 1)];
  })();
  const parts: string[] = [];
  for await (const part of renderMetrics(pages)) parts.push(part);
  expect(Math.max(...parts.map(({ length }) => length))).toBeLessThan(50_000);
  const [first, second] = JSON.parse(parts.join(''));
  expect(first.last).toHaveLength(10_000);
  expect(second.count).toEqual([{ bucket: 0, value: 0 }]);
});

test('is cut off when a database fails in the middle, so that no client takes a part for the whole', async () => {
  const service = serviceOf(30, 20);
  const response = await fetch(await listen(service));
  expect(response.headers.get('M2pg-Complete')).toBe('true');
  await expect(response.text()).rejects.toThrow();
  expect(service.close).toHaveBeenCalled();
});

test.each(['json', 'csv'])(
  'is refused like any other when a database fails before anything was sent, and nothing is said of an answer: %s',
  async (format) => {
    const service = serviceOf(3, 1);
    const response = await service.get({ format });
    expect(response.status).toBe(503);
    expect(response.headers.get('Content-Type')).toBe('application/problem+json');
    for (const header of ['M2pg-Complete', 'M2pg-Databases', 'Content-Disposition', 'Content-Encoding']) {
      expect([header, response.headers.get(header)]).toEqual([header, null]);
    }
    expect(service.close).toHaveBeenCalled();
  },
);

test('makes no more pages than the client takes, and none after it has left', async () => {
  const service = serviceOf(2_000);
  const leaving = new AbortController();
  // Compressed, they would all be next to nothing.
  const headers = { 'Accept-Encoding': 'identity' };
  const response = await fetch(await listen(service), { headers, signal: leaving.signal });
  expect(response.status).toBe(200);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const waiting = service.made.length;
  // The buffers of both ends and of the system hold some.
  expect(waiting).toBeLessThan(500);
  leaving.abort();
  await eventually(() => expect(service.close).toHaveBeenCalled());
  expect(service.made.length).toBeLessThan(500);
});

describe('a client that does not take its answer', () => {
  const getMetrics = rawRequest(['GET /metrics HTTP/1.1', 'Host: a', 'Connection: close']);
  const wholeAnswer = /\]\r\n0\r\n\r\n$/;

  test('is cut off, and its turn is that of other reads', async () => {
    const service = serviceOf(200, undefined, { readsMax: 4, readWaitMs: 25_000 });
    const url = await listen(service, 1_500);
    const idle = await Promise.all([1, 2, 3, 4].map(() => connectRaw(Number(new URL(url).port))));
    for (const { socket } of idle) socket.pause().write(getMetrics);
    await eventually(() => expect(service.observations).toHaveLength(4));
    expect((await fetch(`${url}/names`)).status).toBe(200);
    await eventually(() => expect(service.close).toHaveBeenCalledTimes(4));
    for (const { socket } of idle) socket.resume();
    for (const { closed } of idle) expect(await closed()).not.toMatch(wholeAnswer);
  });

  test('in one go, but slowly, gets all of it', async () => {
    const url = await listen(serviceOf(60), 1_500);
    const { socket, closed } = await connectRaw(Number(new URL(url).port));
    socket.on('data', () => {
      socket.pause();
      setTimeout(() => socket.resume(), 10);
    });
    const begun = performance.now();
    socket.write(getMetrics);
    expect(await closed()).toMatch(wholeAnswer);
    expect(performance.now() - begun).toBeGreaterThan(2_000);
  });
});

test('a client that takes megabytes at once, with pauses between them, gets all of an answer', async () => {
  const timeoutMs = 1_000;
  const url = await listen(serviceOf(60), timeoutMs);
  const { socket, closed } = await connectRaw(Number(new URL(url).port));
  let taken = 0;
  socket.on('data', ({ length }) => {
    taken += length;
    if (taken < 6_000_000) return;
    taken = 0;
    socket.pause();
    setTimeout(() => socket.resume(), 1.5 * timeoutMs);
  });
  socket.write(rawRequest(['GET /metrics HTTP/1.1', 'Host: a', 'Connection: close']));
  expect(await closed()).toMatch(/\]\r\n0\r\n\r\n$/);
});

test('answers HEAD without making anything, and leaves nothing open', async () => {
  const service = serviceOf(12);
  const url = await listen(service);
  for (let asked = 1; asked <= 20; asked += 1) {
    const response = await fetch(url, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(response.headers.get('Content-Type')).toBe('application/json');
    expect(response.headers.get('M2pg-Complete')).toBe('true');
    expect(service.close).toHaveBeenCalledTimes(asked);
  }
  expect(service.made).toEqual([]);
  expect(await (await fetch(url)).json()).toHaveLength(12);
});

test('lets go of the pages when an incomplete answer is refused', async () => {
  const service = serviceOf(1);
  const { memory } = createTestApp();
  const close = vi.fn(async () => undefined);
  const pages = (async function* () {})();
  const store = { ...memory, aggregate: async () => ({ outcomes: [], complete: false, pages, close }) };
  const response = await createTestApp({ store }).get({ partial: 'refuse' });
  expect(response.status).toBe(503);
  expect(close).toHaveBeenCalled();
  expect(service.made).toEqual([]);
});
