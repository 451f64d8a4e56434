import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { ageDeletions, namesIn } from '../support/deleting.ts';
import { counted } from '../support/drain.ts';
import { runToEnd } from '../support/finished-program.ts';
import { runSql } from '../support/fresh-database.ts';
import { databaseUrls, type ProxiedService, startProxiedService } from '../support/proxied-service.ts';
import { point, read, statesOf, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: patientMs });

const remove = async ({ url }: Pick<Service, 'url'>, name: string) => {
  const response = await fetch(`${url}/metrics?name=${name}`, { method: 'DELETE' });
  expect(response.status).toBe(200);
  return ((await response.json()) as { databases: Record<string, { deleted: number; done: boolean }> }).databases;
};

const untilStates = (service: Service, states: readonly string[]) =>
  eventually(async () => expect(await statesOf(service)).toEqual(states));

/** Twenty summaries in both databases, and what an export prints of them. */
async function prepareExport() {
  const proxied = await startProxiedService({ count: 2 });
  await untilStates(proxied.service, ['up', 'up']);
  const at = Math.floor(Date.now() / 1_000) - 1_200;
  const body = Array.from({ length: 20 }, (_, index) => ({ name: 'moved', bucket: at + index * 60, value: index }));
  await untilEqual(proxied.urls, (await write(proxied.service, body)).ids);
  const { code, stdout } = await runToEnd(['export'], proxied.urls);
  expect([code, stdout.trim().split('\n').length]).toEqual([0, 20]);
  return { ...proxied, exported: stdout };
}

/** By way of the network of the service, so that what is away is away. */
const importInto = ({ proxies }: ProxiedService, exported: string) =>
  runToEnd(
    ['import', '-'],
    proxies.map(({ url }) => url),
    { input: exported },
  );

/** They are there, and stay when all is done that may still be done about a deletion: that takes half a minute, or seems to. */
async function expectAllStay(urls: readonly URL[], names: readonly string[], how = 'seems to'): Promise<void> {
  await untilEqual(urls, []);
  // A database that still holds what was deleted, with the same ids, passes for equal before it has come back.
  await eventually(async () => {
    for (const url of urls) expect(await namesIn(url)).toEqual(names);
  });
  await eventually(async () => {
    for (const url of urls) {
      if (how === 'seems to') await ageDeletions(url);
      const [row] = await runSql(
        url,
        'select count(*)::int as known, count(settled_at)::int as settled from deletions',
      );
      expect(row?.known).toBeGreaterThan(0);
      expect(row?.settled).toBe(row?.known);
    }
  }, 60_000);
  await sleep(2_000);
  await eventually(async () => {
    for (const url of urls) expect(await namesIn(url)).toEqual(names);
  });
}

test('what was exported, deleted and imported at once is there and stays', async () => {
  const { service, urls, ...proxied } = await prepareExport();
  expect(await remove(service, 'moved')).toMatchObject({
    db1: { deleted: 20, done: true },
    db2: { deleted: 20, done: true },
  });
  expect((await importInto({ service, urls, ...proxied }, proxied.exported)).code).toBe(0);
  await expectAllStay(urls, ['moved 20'], 'takes it');
});

test('what was deleted and imported while a database was away is there and stays, once it is back', async () => {
  const prepared = await prepareExport();
  const { service, urls, proxies, exported } = prepared;
  await proxies[1]?.set('refuse');
  await untilStates(service, ['up', 'down']);
  await remove(service, 'moved');
  expect((await importInto(prepared, exported)).code).toBe(0);
  await proxies[1]?.set('pass');
  await expectAllStay(urls, ['moved 20']);
});

test.each(['kept running', 'started anew'])(
  'what was deleted in one database and imported into the other, each away for the other, is there and stays; the service was %s',
  async (what) => {
    const prepared = await prepareExport();
    const { urls, proxies, exported } = prepared;
    let { service } = prepared;
    await proxies[1]?.set('refuse');
    await untilStates(service, ['up', 'down']);
    await remove(service, 'moved');
    await proxies[0]?.set('refuse');
    if (what === 'started anew') {
      service.process.kill('SIGTERM');
      await service.exited();
    }
    await proxies[1]?.set('pass');
    if (what === 'started anew') service = await startService({ env: databaseUrls(proxies.map(({ url }) => url)) });
    await untilStates(service, ['down', 'up']);
    // A service that was there knows what was deleted, and has told the database before it used it.
    expect(await namesIn(urls[1] as URL)).toEqual(what === 'kept running' ? [] : ['moved 20']);
    const lines = exported.trim().split('\n');
    expect((await importInto(prepared, lines.slice(0, 15).join('\n'))).code).toBe(0);
    await proxies[0]?.set('pass');
    await untilStates(service, ['up', 'up']);
    await eventually(async () => expect(await namesIn(urls[1] as URL)).toEqual(['moved 15']), 60_000);
    await expectAllStay(urls, ['moved 15']);
  },
);

const frame = (message: string, at: number) =>
  counted(`<40>1 ${new Date(at * 1_000).toISOString()} host app web.1 - ${message}\n`);

test('a write with a key and a batch of a log drain that are sent again after a deletion are there and stay', async () => {
  const { service, urls } = await startProxiedService({ count: 2 });
  await untilStates(service, ['up', 'up']);
  const at = Math.floor(Date.now() / 1_000);
  const send = async () => {
    const keyed = await write(service, [{ ...point('keyed'), bucket: at }], { 'Idempotency-Key': 'key' });
    expect(keyed.status).toBe(201);
    const headers = { 'Logplex-Frame-Id': 'frame' };
    const body = frame('measure#drained=5ms', at);
    expect((await fetch(`${service.url}/logs`, { method: 'POST', body, headers })).status).toBe(200);
    return keyed.ids;
  };
  await untilEqual(urls, await send());
  // As of a service whose clock was a day ahead.
  for (const url of urls) {
    await runSql(url, 'insert into summaries select id, $1, gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1 from series', [
      new Date((at + 86_400) * 1_000),
    ]);
  }
  await remove(service, 'keyed');
  await remove(service, 'drained');
  for (const url of urls) expect(await namesIn(url)).toEqual([]);
  await send();
  await expectAllStay(urls, ['drained 1', 'keyed 1']);
});

test('what was acknowledged before a deletion goes, though the way to a database held it up, and what came after stays', async () => {
  const { service, urls, proxies } = await startProxiedService({ count: 2 });
  await untilStates(service, ['up', 'up']);
  await untilEqual(urls, (await write(service, [point('wrong'), point('right')])).ids);
  await proxies[1]?.set('black_hole');
  for (let sent = 0; sent < 20; sent += 1) {
    expect((await write(service, point('wrong'))).status).toBe(201);
    await sleep(20);
  }
  await remove(service, 'wrong');
  expect((await write(service, point('wrong'))).status).toBe(201);
  await sleep(4_000);
  // What lies on the way arrives now, and nobody waits for it any more.
  await proxies[1]?.set('pass');
  await untilStates(service, ['up', 'up']);
  await eventually(async () => expect(await namesIn(urls[1] as URL)).toEqual(['right 1', 'wrong 1']));
  await expectAllStay(urls, ['right 1', 'wrong 1']);
});

test('a service that stood still brings nothing back that another has deleted meanwhile', async () => {
  const { service: stopped, urls, proxies } = await startProxiedService({ count: 2 });
  const other = await startService({ env: databaseUrls(urls) });
  await untilStates(stopped, ['up', 'up']);
  await untilEqual(urls, (await write(stopped, [point('wrong'), point('right')])).ids);
  await proxies[1]?.set('black_hole');
  // Some are on the way, and some wait behind them.
  await Promise.all(Array.from({ length: 20 }, () => write(stopped, point('wrong'))));
  await sleep(300);
  await Promise.all(Array.from({ length: 20 }, () => write(stopped, point('wrong'))));
  stopped.process.kill('SIGSTOP');
  await remove(other, 'wrong');
  await sleep(12_000);
  await proxies[1]?.set('pass');
  stopped.process.kill('SIGCONT');
  await untilStates(stopped, ['up', 'up']);
  await expectAllStay(urls, ['right 1']);
  expect(await read(stopped, { name: 'wrong' })).toMatchObject({ count: 0, complete: 'true' });
});
