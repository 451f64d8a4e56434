import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { freshDatabaseUrl } from '../support/fresh-database.ts';
import { connectRaw, rawRequest } from '../support/raw-client.ts';
import { point, read, statusOf, write } from '../support/service-client.ts';
import { type Service, startService } from '../support/service-process.ts';

// What is decompressed here is large.
vi.setConfig({ testTimeout: 90_000 });

/** Others are served within it whatever one client does: usually in milliseconds, but other tests run beside this one. */
const normalMs = 3_000;

/** Of the process, after all of this. Bodies may take 8 MiB each, and 64 MiB together. */
const memoryMaxKb = 450_000;

const serve = async () =>
  startService({ env: { DATABASE_URLS: (await freshDatabaseUrl()).href, WRITE_TIMEOUT_MS: '8000' } });

/** Does something while another client writes, and expects that one to notice nothing. */
async function whileOthersAreServed<Value>(service: Service, work: Promise<Value>): Promise<Value> {
  let isOver = false;
  const done = work.finally(() => {
    isOver = true;
  });
  done.catch(() => undefined);
  do {
    const { status, durationMs } = await write(service, point('polite'));
    expect({ status, isQuick: durationMs < normalMs, durationMs }).toMatchObject({ status: 201, isQuick: true });
  } while (!isOver);
  return done;
}

async function expectHealthy(service: Service): Promise<void> {
  expect(service.process.exitCode).toBeNull();
  expect(await statusOf(service, '/-/ready')).toBe(200);
  expect((await write(service, point('after'))).status).toBe(201);
  expect((await read(service, { name: '^after$' })).count).toBeGreaterThan(0);
  expect(service.output()).not.toMatch(/failed unexpectedly|"level":"(error|fatal)"/);
  const [, peak] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${service.process.pid}/status`, 'utf8')) ?? [];
  expect(Number(peak)).toBeLessThan(memoryMaxKb);
}

const bomb = (unit: string, megabytes: number) =>
  Buffer.concat(new Array(megabytes / 10).fill(gzipSync(unit.repeat(10_000_000 / unit.length))));
const [gzip, ndjson] = [{ 'Content-Encoding': 'gzip' }, { 'Content-Type': 'application/x-ndjson' }];

const bodies: readonly (readonly [
  what: string,
  body: () => Buffer | string,
  headers: Record<string, string>,
  status: number,
])[] = [
  ['10^6 objects within each other', () => `${'{"a":'.repeat(1e6)}1${'}'.repeat(1e6)}`, {}, 422],
  ['lists within each other, on many lines', () => `${'['.repeat(3e4)}${']'.repeat(3e4)}\n`.repeat(50), ndjson, 422],
  ['a gzip bomb of 2 GB', () => bomb('[', 2_000), gzip, 413],
  ['a gzip bomb of 2 GB of blank lines', () => bomb('\n', 2_000), { ...gzip, ...ndjson }, 422],
  ['a gzip bomb of 2 GB of broken lines', () => bomb('{\n', 2_000), { ...gzip, ...ndjson }, 422],
  ['a gzip bomb of 2 GB in one line', () => bomb('0', 2_000), { ...gzip, ...ndjson }, 422],
];

test('refuses bodies made to take its memory or its time, and serves others meanwhile', async () => {
  const service = await serve();
  for (const [what, body, headers, status] of bodies) {
    const sending = fetch(`${service.url}/metrics`, { method: 'POST', body: body() as never, headers });
    // The answer may come before the body has been sent, and the connection be closed with the rest of it on its way.
    const answer = sending.then((response) => response.status).catch(() => status);
    expect({ what, status: await whileOthersAreServed(service, answer) }).toEqual({ what, status });
  }
  await expectHealthy(service);
});

test('bodies that gzip makes small take no more memory than others, and hold nobody up', async () => {
  const service = await serve();
  const body = gzipSync(`${' '.repeat(8 * 1024 * 1024 - 10)}[]`);
  const answers = Array.from({ length: 300 }, () =>
    fetch(`${service.url}/metrics`, { method: 'POST', body, headers: gzip }).then(({ status }) => status),
  );
  const statuses = new Set(await whileOthersAreServed(service, Promise.all(answers)));
  expect([...statuses].filter((status) => status !== 201 && status !== 503)).toEqual([]);
  await expectHealthy(service);
});

test('serves others while five hundred senders are slow', async () => {
  const service = await serve();
  const port = Number(new URL(service.url).port);
  const body = JSON.stringify(point('slow'));
  const request = rawRequest(['POST /metrics HTTP/1.1', 'Host: a', `Content-Length: ${body.length}`], body);
  const slow = await Promise.all(Array.from({ length: 500 }, () => connectRaw(port)));
  for (const [index, { socket }] of slow.entries()) socket.write(request.slice(0, 10 + (index % 90)));
  const dribble = async () => {
    for (let time = 0; time < 5; time += 1) {
      for (const { socket } of slow) socket.write(' ');
      await write(service, point('polite'));
    }
  };
  await whileOthersAreServed(service, dribble());
  for (const { socket } of slow) socket.destroy();
  await expectHealthy(service);
});
