import { expect, test, vi } from 'vitest';
import type { Status } from '../../src/http/operation-routes.ts';
import { freshDatabaseUrl } from '../support/fresh-database.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, readComplete, untilCaughtUp, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs } from '../support/stored.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

vi.setConfig({ testTimeout: patientMs });

const statusOf = async ({ url }: Service) => (await (await fetch(`${url}/-/status`)).json()) as Status;

/** A service with a network of its own to each of the databases. */
async function startBehind(urls: readonly URL[], env: Readonly<Record<string, string>>) {
  const links = await Promise.all(urls.map((url) => startTcpProxy(url)));
  const service = await startService({ env: { ...databaseUrls(links.map(({ url }) => url)), ...env } });
  return { service, links };
}

const freshUrls = (count: number) => Promise.all(Array.from({ length: count }, () => freshDatabaseUrl()));

test('a service with WRITE_ACKS=2 flags a read that may lack what one with WRITE_ACKS=1 has acknowledged', async () => {
  const urls = await freshUrls(3);
  const two = await startBehind(urls, { WRITE_ACKS: '2' });
  await untilCaughtUp(two.service);
  await two.links[0]?.set('refuse');
  await eventually(async () =>
    expect(await read(two.service, {})).toMatchObject({ databases: expect.stringContaining('db1=unreachable') }),
  );
  // By its own number this is enough.
  expect(await read(two.service, {})).toMatchObject({ complete: 'true' });
  await two.links[0]?.set('pass');

  const one = await startBehind(urls, { WRITE_ACKS: '1' });
  await eventually(async () => expect((await statusOf(one.service)).acks).toEqual({ writes: 1, reads: 1 }));
  expect((await statusOf(two.service)).acks).toEqual({ writes: 2, reads: 1 });
  for (const link of one.links.slice(1)) await link.set('refuse');
  await two.links[0]?.set('refuse');
  expect(await write(one.service, point('known.to.one'))).toMatchObject({ status: 201 });
  expect(await read(two.service, {})).toMatchObject({ status: 200, count: 0, complete: 'false' });
  await eventually(async () =>
    expect(await read(two.service, {})).toMatchObject({ databases: expect.stringContaining('db1=unreachable') }),
  );
  expect(await read(two.service, {})).toMatchObject({ count: 0, complete: 'false' });

  for (const link of [...one.links, ...two.links]) await link.set('pass');
  await eventually(async () => expect(await readComplete(two.service, {})).toMatchObject({ count: 1 }));
});

test('while one service keeps longer than another, neither drops what it promises, and both say so', async () => {
  const urls = await freshUrls(2);
  const env = databaseUrls(urls);
  const year = await startService({ env: { ...env, RETENTION: '365d', PACK_AFTER: 'never' } });
  const old = { ...point('old'), bucket: Math.floor(Date.now() / 1000) - 100 * 86_400 };
  expect(await write(year, old)).toMatchObject({ status: 201 });
  const month = await startService({ env: { ...env, RETENTION: '30d' } });
  const keeps = { retentionDays: 365, packAfterDays: null };
  for (const service of [year, month]) {
    await eventually(async () => expect((await statusOf(service)).keeps).toEqual(keeps));
  }
  expect(month.output()).toContain('summaries are kept for 365 days, not for 30 days');
  expect(await read(year, { from: '-200d', resolution: 'day' })).toMatchObject({ count: 1, complete: 'true' });
});
