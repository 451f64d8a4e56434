import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { serveHttp } from '../../src/http/server.ts';
import { connectRaw, rawRequest } from '../support/raw-client.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';
import { createTestApp, now, type TestAppOptions, validSummary } from '../support/test-app.ts';

const json = JSON.stringify(validSummary);
const post = rawRequest(['POST /metrics HTTP/1.1', 'Host: a', `Content-Length: ${json.length}`], json);
const getHealthy = rawRequest(['GET /-/healthy HTTP/1.1', 'Host: a']);

/** Much longer than any of these tests may take when all is well. */
const graceMs = 20_000;

async function startServer(options: TestAppOptions = {}) {
  const tested = createTestApp(options);
  const server = await serveHttp(tested.app, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => server.stop(0));
  return { ...tested, ...server };
}

/** A server whose writes wait until they are let go. */
async function startSlowServer() {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { memory } = createTestApp();
  let begun = 0;
  const write = async (...given: Parameters<typeof memory.write>) => {
    begun += 1;
    await released;
    return memory.write(...given);
  };
  const server = await startServer({ store: { ...memory, write } });
  const hasBegun = (writes: number) => eventually(() => expect(begun).toBe(writes));
  return { ...server, memory, release, hasBegun };
}

async function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(false));
    socket.once('error', () => resolve(true));
    onTestFinished(() => void socket.destroy());
  });
}

/** Fails when stopping takes as long as a connection would be waited for. */
async function stopsSoon(stopped: Promise<void>): Promise<void> {
  const begun = performance.now();
  await stopped;
  expect(performance.now() - begun).toBeLessThan(15_000);
}

test('a port that is taken is said to be', async () => {
  const { port, app } = await startServer();
  await expect(serveHttp(app, { host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('an idle connection is kept for the next request, longer than load balancers keep theirs', async () => {
  const { port } = await startServer();
  const client = await connectRaw(port);
  client.socket.write(getHealthy);
  expect(await client.receives(/healthy\n/)).toMatch(/^Keep-Alive: timeout=65\r$/im);
  client.socket.write(getHealthy);
  await client.receives(/healthy\n[\s\S]*healthy\n/);
});

describe('stop', () => {
  test('refuses new connections and lets a request in progress end, then ends at once', async () => {
    const { port, stop, memory, release, hasBegun } = await startSlowServer();
    const client = await connectRaw(port);
    client.socket.write(post);
    await hasBegun(1);
    const stopped = stop(graceMs);
    expect(await isRefused(port)).toBe(true);
    expect(client.received()).toBe('');
    release();
    await stopsSoon(stopped);
    const answer = await client.closed();
    expect(answer).toMatch(/^HTTP\/1\.1 201 Created\r\n/);
    // A client that keeps connections learns that this one is over.
    expect(answer).toMatch(/^Connection: close\r$/im);
    expect(memory.summaries.size).toBe(1);
  });

  test('answers all requests of a pipeline that are in progress', async () => {
    const { port, stop, release, hasBegun } = await startSlowServer();
    const client = await connectRaw(port);
    client.socket.write(post + post);
    await hasBegun(2);
    const stopped = stop(graceMs);
    release();
    await stopsSoon(stopped);
    expect((await client.closed()).match(/HTTP\/1\.1 201/g)).toHaveLength(2);
  });

  test('takes the rest of a body that is on its way', async () => {
    const { port, stop, memory } = await startServer();
    const client = await connectRaw(port);
    client.socket.write(post.slice(0, -20));
    // The request is known to be in progress when a later one has been answered.
    await fetch(`http://127.0.0.1:${port}/-/healthy`);
    const stopped = stop(graceMs);
    client.socket.write(post.slice(-20));
    await stopsSoon(stopped);
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 201 Created\r\n/);
    expect(memory.summaries.size).toBe(1);
  });

  test('does not cut off a large answer to a slow client', async () => {
    const { port, stop, memory, observations } = await startServer();
    const ages = Array.from({ length: 60 }, (_, ago) => ago);
    const named = (name: string) => ages.map((ago) => summaryOf({ name, bucket: now - ago * 60 }));
    await memory.write(Array.from({ length: 1_000 }, (_, index) => named(`${index}`)).flat());
    const client = await connectRaw(port);
    client.socket.pause();
    client.socket.write(rawRequest(['GET /metrics HTTP/1.1', 'Host: a']));
    await eventually(() => expect(observations).toHaveLength(1));
    const stopped = stop(graceMs);
    setTimeout(() => client.socket.resume(), 300);
    await stopsSoon(stopped);
    const answer = await client.closed();
    // More than the system's buffers hold, so that the server still had most of it.
    expect(answer.length).toBeGreaterThan(15_000_000);
    expect(answer).toMatch(/^Transfer-Encoding: chunked\r$/im);
    expect(answer).toMatch(/\]\r\n0\r\n\r\n$/);
  });

  test('closes idle connections without waiting for them', async () => {
    const { port, stop } = await startServer();
    const fresh = await connectRaw(port);
    const used = await connectRaw(port);
    used.socket.write(getHealthy);
    await used.receives(/healthy\n/);
    await stopsSoon(stop(graceMs));
    await Promise.all([fresh.closed(), used.closed()]);
  });

  test('cuts what is left after the grace period', async () => {
    const { port, stop, hasBegun } = await startSlowServer();
    const client = await connectRaw(port);
    client.socket.write(post);
    await hasBegun(1);
    const begun = performance.now();
    let cutOff = 0;
    await stop(200, (requests) => {
      cutOff = requests;
    });
    expect(cutOff).toBe(1);
    expect(performance.now() - begun).toBeGreaterThan(100);
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(await client.closed()).toBe('');
  });
});
