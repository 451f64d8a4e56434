import { describe, expect, onTestFinished, test } from 'vitest';
import { serveHttp } from '../../src/http/server.ts';
import { connectRaw, rawRequest } from '../support/raw-client.ts';
import { eventually } from '../support/service-process.ts';
import { createTestApp, validSummary } from '../support/test-app.ts';

const json = JSON.stringify(validSummary);
const point = '{"name":"hello.world","value":42}';

async function startServer() {
  const tested = createTestApp();
  const server = await serveHttp(tested.app, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.stop(0));
  return { ...tested, port: server.port };
}

/** As l2met's outlet writes a bucket: with a space, `UTC`, and fields of its own. */
const outletJson = JSON.stringify({ ...validSummary, bucket: '2012-12-11 05:12:00 UTC', units: 'ms', id: 7 });

/** Each as it goes over the wire, header by header. */
const requests: [client: string, request: string][] = [
  [
    "l2met's outlet (Go's net/http, no Content-Type, its own spelling of the bucket)",
    rawRequest(
      [
        'POST /metrics HTTP/1.1',
        'Host: 127.0.0.1:8080',
        'User-Agent: Go-http-client/1.1',
        `Content-Length: ${outletJson.length}`,
        'Authorization: Basic bDJtZXQ6c2VjcmV0',
        'Accept-Encoding: gzip',
      ],
      outletJson,
    ),
  ],
  [
    "Go's net/http with a body of unknown length",
    rawRequest(
      ['POST /metrics HTTP/1.1', 'Host: m2pg', 'User-Agent: Go-http-client/1.1', 'Transfer-Encoding: chunked'],
      `5\r\n${json.slice(0, 5)}\r\n${(json.length - 5).toString(16)}\r\n${json.slice(5)}\r\n0\r\n\r\n`,
    ),
  ],
  [
    "Ruby's Net::HTTP",
    rawRequest(
      [
        'POST /metrics HTTP/1.1',
        'Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3',
        'Accept: */*',
        'User-Agent: Ruby',
        'Content-Type: application/x-www-form-urlencoded',
        'Connection: close',
        'Host: 127.0.0.1:8080',
        `Content-Length: ${json.length}`,
      ],
      json,
    ),
  ],
  [
    'curl -d',
    rawRequest(
      [
        'POST /metrics HTTP/1.1',
        'Host: localhost:8080',
        'User-Agent: curl/8.5.0',
        'Accept: */*',
        `Content-Length: ${json.length}`,
        'Content-Type: application/x-www-form-urlencoded',
      ],
      json,
    ),
  ],
  [
    'a client of HTTP/1.0, without Host',
    rawRequest(['POST /metrics HTTP/1.0', `Content-Length: ${json.length}`], json),
  ],
  [
    'a proxy, with the whole URL in the request line',
    rawRequest(['POST http://m2pg/metrics HTTP/1.1', 'Host: m2pg', `content-length: ${json.length}`], json),
  ],
];

describe('a write is taken of', () => {
  test.each(requests)('%s', async (_, request) => {
    const { port, stored } = await startServer();
    const client = await connectRaw(port);
    client.socket.write(request);
    const answer = await client.receives(/"[0-9a-f-]{36}"/);
    expect(answer).toMatch(/^HTTP\/1\.1 201 Created\r\n/);
    expect(answer).toMatch(/^m2pg-copies: 1\/1\r$/im);
    expect(stored()).toMatchObject([{ id: expect.any(String), ...validSummary }]);
  });

  test('a client that waits for 100 Continue before its body', async () => {
    const { port, stored } = await startServer();
    const client = await connectRaw(port);
    const head = ['POST /metrics HTTP/1.1', 'Host: m2pg', `Content-Length: ${json.length}`, 'Expect: 100-continue'];
    client.socket.write(rawRequest(head));
    expect(await client.receives(/\r\n\r\n/)).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    client.socket.write(json);
    await client.receives(/HTTP\/1\.1 201 Created/);
    expect(stored()).toHaveLength(1);
  });

  test('a client that sends one byte at a time', async () => {
    const { port, stored } = await startServer();
    const client = await connectRaw(port);
    client.socket.setNoDelay(true);
    const request = rawRequest(['POST /metrics HTTP/1.1', 'Host: a', `Content-Length: ${point.length}`], point);
    for (const byte of request) await new Promise((sent) => client.socket.write(byte, sent));
    await client.receives(/HTTP\/1\.1 201 Created/);
    expect(stored()[0]).toMatchObject({ name: 'hello.world', last: 42 });
  });

  test('a client that pipelines: each request is answered, in order', async () => {
    const { port, stored } = await startServer();
    const client = await connectRaw(port);
    const write = rawRequest(['POST /metrics HTTP/1.1', 'Host: a', `Content-Length: ${json.length}`], json);
    const wrong = rawRequest(['POST /metrics HTTP/1.1', 'Host: a', 'Content-Length: 2'], '{}');
    const read = rawRequest(['GET /-/healthy HTTP/1.1', 'Host: a']);
    client.socket.write(write + wrong + write + read);
    const answers = await client.receives(/healthy\n/);
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['201', '422', '201', '200'].map((code) => `HTTP/1.1 ${code}`));
    expect(stored()).toHaveLength(2);
  });
});

describe('a client that leaves', () => {
  test.each<[string, 'end' | 'destroy' | 'resetAndDestroy']>([
    ['with FIN', 'end'],
    ['at once', 'destroy'],
    ['with RST', 'resetAndDestroy'],
  ])('right after its request, %s, has its write done all the same', async (_, leave) => {
    const { port, stored, observations } = await startServer();
    const client = await connectRaw(port);
    const request = rawRequest(['POST /metrics HTTP/1.1', 'Host: a', `Content-Length: ${json.length}`], json);
    await new Promise((sent) => client.socket.write(request, sent));
    // A reset discards what the server has not read yet; then nothing was received that could be stored.
    if (leave === 'resetAndDestroy') await eventually(() => expect(stored()).toHaveLength(1));
    client.socket[leave]();
    await eventually(() => expect(stored()).toHaveLength(1));
    expect(observations.map(({ type }) => type)).not.toContain('request_failed');
  });

  const head = ['POST /metrics HTTP/1.1', 'Host: a'];
  const isolated = `[${point},${point}]`;

  describe.each<['end' | 'destroy' | 'resetAndDestroy']>([['end'], ['destroy'], ['resetAndDestroy']])(
    'by %s',
    (leave) => {
      test.each([
        // What arrives is valid JSON by itself: only its length tells that more was to come.
        ['whose length was told', rawRequest([...head, `Content-Length: ${isolated.length + 1}`], isolated)],
        ['whose length was told, before any of it', rawRequest([...head, 'Content-Length: 10'])],
        [
          'in chunks',
          rawRequest([...head, 'Transfer-Encoding: chunked'], `${isolated.length.toString(16)}\r\n${isolated}\r\n`),
        ],
        ['within a chunk', rawRequest([...head, 'Transfer-Encoding: chunked'], `fff\r\n${isolated}`)],
      ])('in the middle of a body %s has written nothing, and harms nobody', async (_, request) => {
        const { port, memory, observations } = await startServer();
        const client = await connectRaw(port);
        await new Promise((sent) => client.socket.write(request, sent));
        client.socket[leave]();
        const isOver = () => expect(observations).toContainEqual(expect.objectContaining({ type: 'request' }));
        if (leave !== 'resetAndDestroy') await eventually(isOver);
        const next = await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST', body: point });
        expect(next.status).toBe(201);
        expect(memory.calls.write).toBe(1);
        // It is the client's fault and no error of ours, which somebody would be called for at night.
        expect(observations.map(({ type }) => type)).not.toContain('request_failed');
      });
    },
  );
});

describe('what is no valid request', () => {
  test.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['HTTP/1.1 without Host', rawRequest(['GET /metrics HTTP/1.1'])],
    ['a host that is none', rawRequest(['GET /metrics HTTP/1.1', 'Host: a b/c'])],
    ['two lengths', rawRequest(['POST /metrics HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Content-Length: 2'], '1')],
    [
      'a length beside chunks, as request smuggling has it',
      rawRequest(['POST /metrics HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
    ],
  ])('(%s) is answered 400, and the next client as ever', async (_, request) => {
    const { port, memory } = await startServer();
    const client = await connectRaw(port);
    client.socket.write(request);
    const answer = await client.closed();
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toMatch(/^Content-Type: application\/problem\+json\r$/m);
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({
      type: 'urn:m2pg:problem:malformed_request',
      status: 400,
      detail: expect.stringMatching(/^expected /),
    });
    expect((await fetch(`http://127.0.0.1:${port}/-/healthy`)).status).toBe(200);
    expect(memory.calls).toEqual({ write: 0, read: 0 });
  });

  test('a body over the limit is answered 413 before it is sent', async () => {
    const { port } = await startServer();
    const client = await connectRaw(port);
    client.socket.write(rawRequest(['POST /metrics HTTP/1.1', 'Host: a', 'Content-Length: 99999999'], '[{"name":'));
    expect(await client.receives(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 413 /);
  });
});
