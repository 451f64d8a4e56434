import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import { receiveNdjson } from '../../src/http/receivers/ndjson.ts';
import { createSummarySchemas } from '../../src/http/receivers/summary-schema.ts';
import { serveHttp } from '../../src/http/server.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { connectRaw, rawRequest } from '../support/raw-client.ts';
import { eventually } from '../support/service-process.ts';
import { createTestApp, now, problemOf, type TestAppOptions, validSummary } from '../support/test-app.ts';

const headers = { 'Content-Type': 'application/x-ndjson' };
const line = `${JSON.stringify(validSummary)}\n`;
const head = rawRequest([
  'POST /metrics HTTP/1.1',
  'Host: a',
  'Content-Type: application/x-ndjson',
  'Content-Length: 9999',
]);

type Write = ReturnType<typeof createMemoryStore>['write'];

/** Reads lines from a source that is asked for one piece after another. */
function receive(bytes: AsyncIterable<Uint8Array>, write: Write, options: { signal?: AbortSignal } = {}) {
  return receiveNdjson(bytes, {
    store: { ...createMemoryStore(), write },
    schemas: createSummarySchemas({ now: () => now, retentionSeconds: undefined }),
    now: () => now,
    idOf: (_, position) => String(position),
    isRepeatable: false,
    ...options,
  });
}

/** Pieces of a thousand lines each. */
async function* pieces(count: number, taken: { count: number }) {
  for (; taken.count < count; taken.count += 1) yield Buffer.from(line.repeat(1_000));
}

async function startServer(options: TestAppOptions = {}, timeoutMs?: number) {
  const tested = createTestApp(options);
  const server = await serveHttp(tested.app, { host: '127.0.0.1', port: 0, ...(timeoutMs && { timeoutMs }) });
  onTestFinished(() => server.stop(0));
  return { ...tested, ...server };
}

test('reads no further while a few batches are under way, and goes on when they are done', async () => {
  const gate = Promise.withResolvers<void>();
  const taken = { count: 0 };
  let underWay = 0;
  let most = 0;
  const loading = receive(pieces(200, taken), async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await gate.promise;
    underWay -= 1;
    return { copies: 1, databases: 1 };
  });
  await eventually(() => expect(underWay).toBe(4));
  await sleep(50);
  expect(most).toBe(4);
  expect(taken.count).toBeLessThan(50);
  gate.resolve();
  expect(await loading).toMatchObject({ stored: 200_000, refused: 0, failure: undefined });
  expect(most).toBe(4);
});

test('the first batch that fails ends it, and the outcome tells how far everything is stored', async () => {
  const taken = { count: 0 };
  let calls = 0;
  const outcome = await receive(pieces(500, taken), async (summaries) => {
    calls += 1;
    const call = calls;
    await sleep(call === 2 ? 30 : 1);
    if (call === 4) throw new Failure('too_few_copies', '0 of 2 databases have committed, 1 needed');
    return { copies: 1, databases: 2, settled: Promise.resolve(summaries.length > 0 ? 2 : 0) };
  });
  expect(outcome).toMatchObject({ failure: { code: 'too_few_copies' }, copies: { copies: 2, databases: 2 } });
  expect(calls).toBeLessThan(8);
  expect(taken.count).toBeLessThan(60);
  // Those after it may have been stored too; the prefix ends before it.
  expect(outcome.storedThroughLine).toBeGreaterThan(14_000);
  expect(outcome.storedThroughLine).toBeLessThan(17_000);
  expect(outcome.stored).toBeGreaterThanOrEqual(outcome.storedThroughLine);
});

test('waits a while for the slower databases, and tells the fewest copies of any batch', async () => {
  const copies = [2, 1, 2];
  const begun = performance.now();
  const outcome = await receive(pieces(15, { count: 0 }), async () => {
    const settled = copies.shift() === 1 ? new Promise<number>(() => undefined) : sleep(200, 2);
    return { copies: 1, databases: 2, settled };
  });
  expect(outcome).toMatchObject({ stored: 15_000, copies: { copies: 1, databases: 2 } });
  expect(performance.now() - begun).toBeGreaterThan(500);
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test('answers 503 with what was stored before, when the databases fail in the middle', async () => {
  const { memory } = createTestApp();
  let calls = 0;
  const write: Write = async (summaries) => {
    calls += 1;
    if (calls > 2) throw new Failure('too_few_copies', '0 of 2 databases have committed, 1 needed');
    return memory.write(summaries);
  };
  const { post } = createTestApp({ store: { ...memory, write } });
  const response = await post(`x\n${line.repeat(20_000)}`, headers);
  expect(response.status).toBe(503);
  expect(response.headers.get('Retry-After')).toBe('2');
  const { stored, storedThroughLine, ...problem } = (await problemOf(response)) as never as Record<string, number>;
  expect(problem).toMatchObject({ refused: 1, errors: [{ line: 1, message: 'is not JSON' }] });
  expect(stored).toBe(memory.summaries.size);
  expect(storedThroughLine).toBe((stored ?? 0) + 1);
  expect(stored).toBeGreaterThan(9_000);
});

test('stores what has gathered while the sender pauses', async () => {
  const { port, memory } = await startServer();
  const client = await connectRaw(port);
  client.socket.write(`${head}${line}${line}{"name"`);
  await eventually(() => expect(memory.summaries.size).toBe(2));
  expect(client.received()).toBe('');
});

test('cuts off a sender that is silent', async () => {
  const { port, memory } = await startServer({ bulkIdleTimeoutMs: 2_000 });
  const client = await connectRaw(port);
  client.socket.write(`${head}${line}`);
  const answer = await client.closed();
  expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  expect(answer).toContain('"detail":"nothing was received for 2 s"');
  expect(answer).toContain('"stored":1');
  expect(memory.summaries.size).toBe(1);
});

test.each(['/metrics', '/metrics?x=1', 'http://m2pg/metrics'])(
  'a sender may take longer than other requests may: %s',
  async (path) => {
    const { port, memory } = await startServer({}, 500);
    const slow = request({ port, host: '127.0.0.1', path, method: 'POST', headers });
    const answered = once(slow, 'response');
    for (let sent = 0; sent < 12; sent += 1) {
      slow.write(line);
      await sleep(100);
    }
    slow.end();
    const [response] = await answered;
    expect(response.statusCode).toBe(201);
    expect(memory.summaries.size).toBe(12);
  },
);

const ndjson = 'Content-Type: application/x-ndjson';

test.each([
  ['a summary', ['POST /metrics HTTP/1.1']],
  ['a log drain', ['POST /logs HTTP/1.1']],
  ['a log drain that calls itself one', ['POST /logs HTTP/1.1', ndjson]],
  ['one that calls itself that and something else', ['POST /metrics HTTP/1.1', ndjson, 'Content-Type: text/plain']],
])('a body that is no bulk load must arrive in time: %s', async (_, headLines) => {
  const { port, memory } = await startServer({}, 500);
  const client = await connectRaw(port);
  client.socket.write(rawRequest([...headLines, 'Host: a', 'Content-Length: 9999'], '{"name"'));
  expect(await client.closed()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  expect(memory.calls.write).toBe(0);
});

test('nor keeps a body its connection that was refused before it arrived', async () => {
  const { port } = await startServer({}, 500);
  const client = await connectRaw(port);
  client.socket.write(rawRequest(['POST /nowhere HTTP/1.1', ndjson, 'Host: a', 'Content-Length: 9999'], '{"name"'));
  const dribble = setInterval(() => client.socket.write(' '), 100);
  onTestFinished(() => clearInterval(dribble));
  expect(await client.closed()).toMatch(/^HTTP\/1\.1 404 /);
});

test('an answer that takes long is not cut off', async () => {
  const { memory } = createTestApp();
  const write: Write = (summaries) => sleep(1_200).then(() => memory.write(summaries));
  const { port } = await startServer({ store: { ...memory, write } }, 500);
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST', body: line });
  expect(response.status).toBe(201);
});

test('of a sender who leaves, what was handed to the store stays, and nothing is left waiting', async () => {
  const { port, memory, observations } = await startServer();
  const client = await connectRaw(port);
  client.socket.write(head.replace('9999', String(line.length * 100_000)) + line.repeat(30_000));
  await eventually(() => expect(memory.summaries.size).toBeGreaterThan(5_000));
  client.socket.destroy();
  await eventually(() => expect(observations).toMatchObject([{ type: 'request', status: 400 }]));
  expect(memory.summaries.size).toBeGreaterThan(5_000);
  expect((await fetch(`http://127.0.0.1:${port}/-/healthy`)).status).toBe(200);
});

test('the connection of a load that failed is closed, whatever is still sent', async () => {
  const { memory } = createTestApp();
  memory.failure = new Failure('too_few_copies', 'none');
  const { port } = await startServer({ store: memory });
  const client = await connectRaw(port);
  client.socket.write(head.replace('9999', String(line.length * 1_000_000)) + line.repeat(10_000));
  const answer = await client.closed();
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer).toMatch(/^Connection: close\r$/im);
});

test('a service that stops ends it and says so', async () => {
  const stopping = new AbortController();
  const { port, memory } = await startServer({ stopping: stopping.signal });
  const client = await connectRaw(port);
  client.socket.write(`${head}${line}`);
  await eventually(() => expect(memory.summaries.size).toBe(1));
  stopping.abort(new Failure('stopping', 'the service is stopping'));
  const answer = await client.receives(/storedThroughLine/);
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer).toContain('"detail":"the service is stopping","stored":1');
});
