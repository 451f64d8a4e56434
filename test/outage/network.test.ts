import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { findBlackHole } from '../support/black-hole.ts';
import { runSql } from '../support/fresh-database.ts';
import { expectSuccess, expectUndisturbed, type LoadAnswers, startLoad } from '../support/load.ts';
import { residentBytesOf, socketsTo } from '../support/processes.ts';
import { type ProxiedService, startProxiedService } from '../support/proxied-service.ts';
import { point, read, statesOf, write, writesOf } from '../support/service-client.ts';
import { eventually } from '../support/service-process.ts';
import { idsIn, patientMs, untilEqual } from '../support/stored.ts';
import type { TcpLink } from '../support/tcp-link.ts';

vi.setConfig({ testTimeout: patientMs });

const readTimeoutMs = 1_000;
const env = { READ_TIMEOUT_MS: String(readTimeoutMs) };

/** Each of four connections for writes and for reads, three for maintenance and repair, one that watches. */
const socketsMax = 12;

const idsOf = ({ all }: LoadAnswers) => all.flatMap(({ ids }) => ids);

const socketsOf = ({ service }: ProxiedService, { url }: TcpLink) =>
  socketsTo(service.process.pid ?? 0, Number(url.port));

async function expectFlaggedRead({ service }: ProxiedService, count: number): Promise<void> {
  const answer = await read(service, {});
  expect(answer).toMatchObject({ status: 200, count, complete: 'false' });
  expect(answer.databases).toMatch(/^db1=ok, db2=(timeout|unreachable), db3=ok$/);
  expect(answer.durationMs).toBeLessThan(readTimeoutMs + 500);
}

async function expectHealed({ service, urls }: ProxiedService, answers: LoadAnswers): Promise<void> {
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']), 15_000);
  await eventually(async () => {
    expect(await read(service, {})).toMatchObject({ complete: 'true', count: answers.all.length });
  });
  await untilEqual(urls, idsOf(answers));
}

test('a database in a black hole disturbs no write, holds few sockets and little memory, and catches up', async () => {
  const hole = await findBlackHole();
  const proxied = await startProxiedService({ env, hosts: [undefined, hole?.host] });
  const { service } = proxied;
  const proxy = proxied.proxies[1] as TcpLink;
  const load = await startLoad(service, { everyMs: 3, points: 10 });
  const bytesBefore = residentBytesOf(service.process.pid ?? 0);
  const before = socketsOf(proxied, proxy);

  load.beginFault();
  await (hole?.open() ?? proxy.set('black_hole'));
  const until = performance.now() + 8_000;
  let [socketsHeld, bytesHeld] = [0, 0];
  while (performance.now() < until) {
    await sleep(100);
    socketsHeld = Math.max(socketsHeld, socketsOf(proxied, proxy).size);
    bytesHeld = Math.max(bytesHeld, residentBytesOf(service.process.pid ?? 0));
  }
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'down', 'up']));
  const answers = await load.stop();
  expectSuccess(answers);
  expect(socketsHeld).toBeLessThanOrEqual(socketsMax);
  expect(bytesHeld - bytesBefore).toBeLessThan(150e6);
  // Those that led there are gone; one that tries the way may be there.
  await eventually(() => {
    const left = socketsOf(proxied, proxy);
    expect([...left].filter((port) => before.has(port))).toEqual([]);
    expect(left.size).toBeLessThanOrEqual(1);
  });
  // So that each of the others tells it all, and none needs to be asked twice.
  await untilEqual([proxied.urls[0] as URL, proxied.urls[2] as URL], idsOf(answers));
  await expectFlaggedRead(proxied, answers.all.length * 10);

  await (hole?.close() ?? proxy.set('pass'));
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']));
  await untilEqual(proxied.urls, idsOf(answers));
});

test('connections that the network forgets, with a reset or without a word, are replaced by others', async () => {
  const proxied = await startProxiedService({ env });
  const proxy = proxied.proxies[1] as TcpLink;
  const answers: LoadAnswers[] = [];
  for (const how of ['with resets', 'silently'] as const) {
    await eventually(async () => expect(await read(proxied.service, {})).toMatchObject({ complete: 'true' }));
    const before = socketsOf(proxied, proxy);
    expect(before.size).toBeGreaterThan(0);
    answers.push(await expectUndisturbed(proxied.service, () => proxy.forget(how)));
    // One that waits for the answer to a statement of repair learns of it when that has taken too long; one that nobody
    // uses, when somebody does.
    await eventually(async () => {
      await read(proxied.service, {});
      expect([...socketsOf(proxied, proxy)].filter((port) => before.has(port))).toEqual([]);
    }, 40_000);
    expect(socketsOf(proxied, proxy).size).toBeLessThanOrEqual(socketsMax);
  }
  const [first, second] = answers as [LoadAnswers, LoadAnswers];
  await expectHealed(proxied, { ...second, all: [...first.all, ...second.all] });
});

test('a storm of resets disturbs no write, and is not answered by a storm of connections', async () => {
  const proxied = await startProxiedService({ env });
  const proxy = proxied.proxies[1] as TcpLink;
  const acceptedBefore = proxy.accepted;
  const storm = setInterval(proxy.cut, 25);
  const answers = await expectUndisturbed(proxied.service, () => sleep(2_000)).finally(() => clearInterval(storm));
  // A reset each 25 ms could be met by each connection of the pools, 80 times over.
  expect(proxy.accepted - acceptedBefore).toBeLessThan(200);
  await expectHealed(proxied, answers);
});

test('a database behind a slow network slows down no write, and a read is complete or says that it is not', async () => {
  const proxied = await startProxiedService({ env: { READ_TIMEOUT_MS: '6000' } });
  const { service } = proxied;
  const proxy = proxied.proxies[1] as TcpLink;
  const answers = await expectUndisturbed(service, () => {
    proxy.delay(500);
    proxy.throttle(64 * 1_024);
  });
  const answer = await read(service, {});
  // What the slow one lacks, the others have.
  expect(answer).toMatchObject({ status: 200, count: answers.all.length });
  expect(answer.complete).toBe(String(answer.databases === 'db1=ok, db2=ok, db3=ok'));
  // Where copies differ, they are asked a second time.
  expect(answer.durationMs).toBeLessThan(2 * 6_000 + 500);
  proxy.delay(0);
  proxy.throttle(Number.POSITIVE_INFINITY);
  await expectHealed(proxied, answers);
});

test('of an answer that is torn in the middle nothing is used', async () => {
  const proxied = await startProxiedService({ env });
  const { service, urls } = proxied;
  const proxy = proxied.proxies[1] as TcpLink;
  const written = await write(
    service,
    Array.from({ length: 100 }, (_, index) => point(`name${index}`)),
  );
  await untilEqual(urls, written.ids);
  // The first of all names, and in that database alone: in the part of the answer that comes through.
  await runSql(
    urls[1] as URL,
    `with named as (insert into series (name) values ('a') returning id)
     insert into summaries select named.id, now(), gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1 from named`,
  );
  proxy.tear(4_000);
  expect(await read(service, {})).toMatchObject({
    status: 200,
    count: 100,
    complete: 'false',
    databases: 'db1=ok, db2=unreachable, db3=ok',
  });
  expect((await write(service, point('torn'))).status).toBe(201);
  proxy.tear(Number.POSITIVE_INFINITY);
  await eventually(async () => expect(await read(service, {})).toMatchObject({ count: 102, complete: 'true' }));
  await untilEqual(urls, written.ids);
});

test('a write that is committed everywhere and acknowledged by nobody is 503, and counts once when it is sent again', async () => {
  const { service, urls, proxies } = await startProxiedService({ env: { WRITE_TIMEOUT_MS: '1000' } });
  // All have the name already, and a connection: one statement is all that is left to do.
  await write(service, point('once'));
  await eventually(async () => {
    for (const url of urls) expect(await idsIn(url)).toHaveLength(1);
    // And every answer has come.
    expect(await writesOf(service)).toEqual([1, 1, 1]);
  });
  const summaries = [point('once'), point('once')];
  const headers = { 'Idempotency-Key': 'unheard' };

  await Promise.all(proxies.map((proxy) => proxy.set('mute')));
  const unheard = await write(service, summaries, headers);
  expect(unheard).toMatchObject({ status: 503, retryAfter: '2' });
  expect(unheard.durationMs).toBeLessThan(1_500);
  await eventually(async () => {
    for (const url of urls) expect(await idsIn(url)).toHaveLength(3);
  });

  await Promise.all(proxies.map((proxy) => proxy.set('pass')));
  const again = await eventually(async () => {
    const answer = await write(service, summaries, headers);
    expect(answer.status).toBe(201);
    return answer;
  });
  await eventually(async () => {
    expect(await read(service, { name: 'once' })).toMatchObject({ count: 3, complete: 'true' });
  });
  await untilEqual(urls, again.ids);
  expect(await idsIn(urls[0] as URL)).toHaveLength(3);
});
