import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createFragileServers, type FragileServer } from '../support/fragile-server.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, readComplete, statesOf, statusOf, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { idsIn, patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

/** A write that takes so long was kept waiting by the database that is frozen. The machine of the tests may be busy. */
const quicklyMs = 1_000;

const readTimeoutMs = 700;
const writeTimeoutMs = 1_000;

let servers: [FragileServer, FragileServer];
let urls: [URL, URL];
/** Of what was written before a test begins. */
let warm: readonly string[];

beforeAll(async () => {
  servers = (await createFragileServers(2)) as [FragileServer, FragileServer];
});

afterEach(() => Promise.all(servers.map((server) => server.restore())));

afterAll(() => Promise.all((servers ?? []).map((server) => server.remove())));

async function startOnBoth(timeouts: Record<string, string> = {}): Promise<Service> {
  urls = (await Promise.all(servers.map((server) => server.createDatabase()))) as [URL, URL];
  const env = { READ_TIMEOUT_MS: String(readTimeoutMs), WRITE_TIMEOUT_MS: String(writeTimeoutMs), ...timeouts };
  const service = await startService({ env: { ...databaseUrls(urls), ...env } });
  // The first of all connects, makes names and weeks, beside a maintenance that begins as well: none of it is measured here.
  const first = point('warm');
  await eventually(async () => {
    const { status, ids } = await write(service, first, { 'Idempotency-Key': 'warm' });
    expect(status).toBe(201);
    warm = ids;
  });
  await untilEqual(urls, warm);
  return service;
}

/** Writes for a while, ten at a time, and expects every answer to come as if nothing had happened. */
async function writeUndisturbed(service: Service, name: string, forMs: number): Promise<string[]> {
  const until = performance.now() + forMs;
  const written: string[] = [];
  while (performance.now() < until) {
    const answers = await Promise.all(Array.from({ length: 10 }, () => write(service, point(name))));
    for (const { status, durationMs } of answers) {
      expect(status).toBe(201);
      expect(durationMs).toBeLessThan(quicklyMs);
    }
    written.push(...answers.flatMap(({ ids }) => ids));
    await sleep(20);
  }
  return written;
}

async function expectFlaggedRead(service: Service, name: string, count: number): Promise<void> {
  const answer = await read(service, { name });
  expect(answer).toMatchObject({ status: 200, count, complete: 'false' });
  expect(answer.databases).toMatch(/^db1=ok, db2=(timeout|unreachable)$/);
  expect(answer.durationMs).toBeLessThan(readTimeoutMs + 500);
}

/** Both are used again, and hold the same: what was on its way into the frozen one once, like all else. */
async function expectEqual(service: Service, ids: readonly string[]): Promise<void> {
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']));
  await untilEqual(urls, ids);
  expect(await readComplete(service, {})).toMatchObject({
    count: warm.length + ids.length,
    databases: 'db1=ok, db2=ok',
  });
}

test('writes go on at their normal speed while a database is frozen, and nothing is counted twice when it thaws', async () => {
  const service = await startOnBoth();
  const before = await writeUndisturbed(service, 'before', 100);

  servers[1].freeze();
  const during = await writeUndisturbed(service, 'during', 500);
  await expectFlaggedRead(service, 'during', during.length);
  // Long enough for it to be found out, so that both ways of a frozen database are met: still in use, and left out.
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'down']));
  during.push(...(await writeUndisturbed(service, 'during', 500)));
  await expectFlaggedRead(service, 'during', during.length);
  expect(await statusOf(service, '/-/ready')).toBe(200);

  servers[1].thaw();
  await expectEqual(service, [...before, ...during]);
});

test('an answer of several pages is given while a database is frozen', async () => {
  const service = await startOnBoth();
  const names = ['page.a', 'page.b', 'page.c'];
  const { ids } = await write(service, names.map(point));
  await untilEqual(urls, [...warm, ...ids]);
  servers[1].freeze();
  // So many buckets that a page holds one series. What the other waits for the frozen one is none of its own time.
  const from = String(Math.floor(Date.now() / 1000) - 10_500);
  for (let time = 0; time < 3; time += 1) {
    const answer = await read(service, { name: '^page', from, resolution: 'second' });
    expect(answer).toMatchObject({ status: 200, count: names.length, complete: 'false' });
  }
});

test('a postmaster that greets no new connection disturbs no write, and no read on connections that are open', async () => {
  const timeoutMs = 2_000;
  const service = await startOnBoth({ READ_TIMEOUT_MS: String(timeoutMs) });
  const before = await writeUndisturbed(service, 'before', 100);
  await read(service, {});

  servers[1].freezePostmaster();
  const during = await writeUndisturbed(service, 'during', 500);
  // So that one of them alone tells it all.
  await eventually(async () => expect(await idsIn(urls[0])).toEqual(expect.arrayContaining(during)));
  // More at once than connections are open: of those it cannot have, each read waits for its time at most.
  const crowd = await Promise.all(Array.from({ length: 20 }, () => read(service, { name: 'during' })));
  for (const answer of crowd) {
    expect(answer).toMatchObject({ status: 200, count: during.length });
    expect(answer.durationMs).toBeLessThan(2 * timeoutMs + 500);
    expect(answer.complete).toBe(String(answer.databases === 'db1=ok, db2=ok'));
  }
  for (let n = 0; n < 10; n += 1) {
    expect(await readComplete(service, { name: 'during' })).toMatchObject({ count: during.length });
  }

  servers[1].thaw();
  await expectEqual(service, [...before, ...during]);
});

test('answers 503 within the write timeout while every database is frozen, and serves when they thaw', async () => {
  const service = await startOnBoth();
  await writeUndisturbed(service, 'before', 100);
  for (const server of servers) server.freeze();

  const answers = await Promise.all(Array.from({ length: 20 }, () => write(service, point('frozen'))));
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 503, retryAfter: '2' });
    expect(answer.durationMs).toBeLessThan(writeTimeoutMs + 500);
  }
  const unanswered = await read(service, {});
  expect(unanswered.status).toBe(503);
  expect(unanswered.durationMs).toBeLessThan(readTimeoutMs + 500);
  await eventually(async () => expect(await statusOf(service, '/-/ready')).toBe(503), 15_000);
  expect(await statusOf(service, '/-/healthy')).toBe(200);
  // Known to be down: nobody waits for a timeout any more.
  expect((await write(service, point('frozen'))).durationMs).toBeLessThan(500);

  for (const server of servers) server.thaw();
  await eventually(async () => expect(await write(service, point('thawed'))).toMatchObject({ status: 201 }));
});
