import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { serveHttp } from '../../src/http/server.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { connectRaw, rawRequest } from '../support/raw-client.ts';
import { createTestApp, now } from '../support/test-app.ts';

// Hundreds of connections, on a machine that others use as well.
vi.setConfig({ testTimeout: 30_000 });

async function serve() {
  const tested = createTestApp();
  const server = await serveHttp(tested.app, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.stop(0));
  const namesStored = () => tested.stored().map(({ name }) => name);
  const expectHealthy = async () => {
    expect(tested.observations.map(({ type }) => type)).not.toContain('request_failed');
    const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`, { method: 'POST', body: json('after') });
    expect(answer.status).toBe(201);
    expect(namesStored()).toContain('after');
  };
  return { ...tested, port: server.port, namesStored, expectHealthy };
}

const json = (name: string) => JSON.stringify({ name, bucket: now, value: 1 });
const post = (body: string, ...headers: string[]) =>
  rawRequest(['POST /metrics HTTP/1.1', 'Host: a', `Content-Length: ${Buffer.byteLength(body)}`, ...headers], body);
const chunked = (body: string, ...headers: string[]) =>
  rawRequest(['POST /metrics HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked', ...headers], body);
const get = (...headers: string[]) => rawRequest(['GET /-/healthy HTTP/1.1', ...headers]);

/** What must not be taken for a request of its own: a proxy in front would have let it pass as a body. */
const smuggled = post(json('smuggled'));
const withBoth = (first: string, second: string) =>
  rawRequest(['POST /metrics HTTP/1.1', 'Host: a', first, second], `0\r\n\r\n${smuggled}`);

const unfit: readonly (readonly [shape: string, request: string])[] = [
  ['both lengths, Content-Length first', withBoth('Content-Length: 5', 'Transfer-Encoding: chunked')],
  ['both lengths, Transfer-Encoding first', withBoth('Transfer-Encoding: chunked', 'Content-Length: 5')],
  ['two Content-Lengths', withBoth('Content-Length: 5', 'Content-Length: 6')],
  ['Content-Length with a sign', withBoth('Content-Length: +5', 'X: y')],
  ['Content-Length beyond all numbers', withBoth('Content-Length: 99999999999999999999', 'X: y')],
  ['Transfer-Encoding that ends otherwise', withBoth('Transfer-Encoding: chunked, identity', 'X: y')],
  ['Transfer-Encoding twice', withBoth('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')],
  ['Transfer-Encoding with a space', withBoth('Transfer-Encoding : chunked', 'X: y')],
  ['Transfer-Encoding unknown', withBoth('Transfer-Encoding: xchunked', 'X: y')],
  ['chunk size that is none', chunked(`zz\r\n${smuggled}`)],
  ['chunk size below zero', chunked(`-1\r\n${smuggled}`)],
  ['chunk size beyond all numbers', chunked(`ffffffffffffffffffff\r\n${smuggled}`)],
  ['chunk longer than its size', chunked(`2\r\n{}{}\r\n0\r\n\r\n${smuggled}`)],
  ['chunk extensions without end', chunked(`1;${'a'.repeat(40_000)}\r\na\r\n0\r\n\r\n`)],
  ['line feeds alone', get('Host: a').replaceAll('\r\n', '\n')],
  ['a header folded', get('Host: a', 'X: a\r\n b')],
  ['a header without colon', get('Host: a', 'X')],
  ['a header with NUL', get('Host: a', 'X: a\0b')],
  ['headers of 100 KB', get('Host: a', `X: ${'a'.repeat(100_000)}`)],
  ['ten thousand headers', get('Host: a', ...new Array(10_000).fill('A: b'))],
  ['a target of 100 KB', rawRequest([`GET /metrics?name=${'a'.repeat(100_000)} HTTP/1.1`, 'Host: a'])],
  ['a target that is no URL', rawRequest(['GET http://[/ HTTP/1.1', 'Host: a']) + smuggled],
  ['a target of raw bytes', rawRequest(['GET \xff\xfe HTTP/1.1', 'Host: a'])],
  ['no Host', get() + smuggled],
  ['two Hosts', get('Host: a', 'host: b') + smuggled],
  ['the same Host twice', get('Host: a', 'Host: a') + smuggled],
  ['two Hosts, in HTTP/1.0', rawRequest(['GET /-/healthy HTTP/1.0', 'Host: a', 'Host: b']) + smuggled],
  ['a Host that is none', get('Host: a b') + smuggled],
  ['a Host that is a path', get('Host: a/b')],
  ['a Host with a user', get('Host: a@b')],
  ['a Host with a port that is none', get('Host: a:b')],
  ['a Host that is a list', get('Host: a, b')],
  ['a Host that is none beside a whole URL', rawRequest(['GET http://a/-/healthy HTTP/1.1', 'Host: a b']) + smuggled],
  ['no Host beside a whole URL', rawRequest(['GET http://a/-/healthy HTTP/1.1'])],
  ['a space before the colon of Host', get('Host : a')],
  ['a space before the colon of Content-Length', withBoth('Content-Length : 5', 'X: y')],
  ['a space before the first header', get(' Host: a')],
  ['the same Content-Length twice', withBoth('Content-Length: 5', 'Content-Length: 5')],
  ['a list of Content-Lengths', withBoth('Content-Length: 5, 5', 'X: y')],
  ['an empty Content-Length', withBoth('Content-Length:', 'X: y')],
  ['another coding below chunked', withBoth('Transfer-Encoding: gzip, chunked', 'X: y')],
  ['chunks in HTTP/1.0', withBoth('Transfer-Encoding: chunked', 'X: y').replace('HTTP/1.1', 'HTTP/1.0')],
  ['a carriage return alone in a header', get('Host: a', 'X: a\rb')],
  ['an unknown method', rawRequest(['FOO / HTTP/1.1', 'Host: a'])],
  ['CONNECT', rawRequest(['CONNECT example.com:443 HTTP/1.1', 'Host: example.com:443'])],
  ['an expectation that nobody knows', post('{}', 'Expect: 200-maybe')],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/3.0', rawRequest(['GET / HTTP/3.0', 'Host: a'])],
  ['HTTP/2.0 in the clothes of HTTP/1.1', rawRequest(['GET /-/healthy HTTP/2.0', 'Host: a']) + smuggled],
  ['HTTP/0.9', 'GET /-/healthy\r\n\r\n'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['another protocol', 'EHLO example.com\r\n'],
];

describe('what is no request', () => {
  test.each(unfit)(
    '(%s) is answered once, in problem JSON, the connection closed and nothing smuggled',
    async (_, request) => {
      const { port, namesStored, expectHealthy } = await serve();
      const client = await connectRaw(port);
      client.socket.write(request, 'latin1');
      const answer = await client.closed();
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual([expect.stringMatching(/^HTTP\/1\.1 (400|405|413|417|431)$/)]);
      expect(head).toMatch(/Content-Type: application\/problem\+json/i);
      expect(JSON.parse(body)).toMatchObject({ type: expect.stringMatching(/^urn:m2pg:/), detail: expect.any(String) });
      expect(namesStored()).toEqual([]);
      await expectHealthy();
    },
  );

  test('is not whatever names its host in another way', async () => {
    const { port } = await serve();
    const fit = [
      rawRequest(['GET /-/healthy HTTP/1.0']),
      ...['a', 'A.example:8080', '127.0.0.1', '[::1]:80', 'a_b', ''].map((host) => get(`Host: ${host}`)),
      rawRequest(['GET http://a.example/-/healthy HTTP/1.1', 'Host: b.example']),
      get('Host: a', 'X-Host: b', 'hosts: c'),
    ];
    for (const request of fit) {
      const client = await connectRaw(port);
      client.socket.write(request);
      expect([request, await client.receives(/healthy\n$/)]).toEqual([
        request,
        expect.stringMatching(/^HTTP\/1.1 200 /),
      ]);
    }
  });

  test('after what is a request is answered after it', async () => {
    const { port, namesStored, expectHealthy } = await serve();
    const client = await connectRaw(port);
    client.socket.write(`${post(json('first'))}${post('{}')}${get('Host: a')}${post(json('last'))}nonsense\r\n\r\n`);
    const answer = await client.closed();
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(
      ['201', '422', '200', '201', '400'].map((code) => `HTTP/1.1 ${code}`),
    );
    expect(namesStored()).toEqual(['first', 'last']);
    await expectHealthy();
  });
});

test('what goes on to be no request, while one before it is in progress, is answered once and after it', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const memory = createMemoryStore();
  const { app } = createTestApp({
    store: { ...memory, write: (...given) => released.then(() => memory.write(...given)) },
  });
  const { port, stop } = await serveHttp(app, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => stop(0));
  const client = await connectRaw(port);
  client.socket.write(post(json('slow')));
  for (let time = 0; time < 5; time += 1) {
    client.socket.write('nonsense\r\n\r\n');
    await sleep(20);
  }
  expect(client.received()).toBe('');
  release();
  expect((await client.closed()).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 201', 'HTTP/1.1 400']);
});

test('of a write that breaks off, at whatever byte, nothing is stored', async () => {
  const { port, memory, expectHealthy } = await serve();
  const text = json('cut');
  const requests = [post(text), chunked(`${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`)];
  const cuts = requests.flatMap((request) =>
    Array.from({ length: request.length }, (_, length) => request.slice(0, length)),
  );
  const attempts = cuts.map(async (part, index) => {
    const client = await connectRaw(port);
    await new Promise((sent) => client.socket.write(part, sent));
    if (index % 2 === 0) client.socket.end();
    else client.socket.resetAndDestroy();
    await client.closed();
  });
  await Promise.all(attempts);
  expect(memory.calls.write).toBe(0);
  await expectHealthy();
});

test('a thousand requests in one piece are answered in their order', async () => {
  const { port, namesStored, expectHealthy } = await serve();
  const names = Array.from({ length: 500 }, (_, index) => `name.${index}`);
  const client = await connectRaw(port);
  client.socket.end(names.map((name) => post(json(name)) + post('[]'.repeat(2))).join(''));
  const answer = await client.closed();
  expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(names.flatMap(() => ['HTTP/1.1 201', 'HTTP/1.1 400']));
  expect(namesStored().toSorted()).toEqual(names.toSorted());
  await expectHealthy();
});
