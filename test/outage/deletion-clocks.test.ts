import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startEmbeddedServer } from '../../src/embedded/server.ts';
import { namesIn } from '../support/deleting.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { statesOf, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { canShiftClocks, shiftedClock } from '../support/shifted-clock.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

const day = 86_400;

const remove = async ({ url }: Service, name: string) => {
  const response = await fetch(`${url}/metrics?name=${name}`, { method: 'DELETE' });
  return ((await response.json()) as { databases: unknown }).databases;
};

/** A value of now, by the clock of the service. */
const value = (name: string) => ({ name, value: 1 });

async function startShifted(urls: readonly URL[], seconds: number): Promise<Service> {
  const service = await startService({ env: { ...databaseUrls(urls), ...shiftedClock(seconds) } });
  await eventually(async () => expect(await statesOf(service)).toEqual(urls.map(() => 'up')));
  return service;
}

/** A server whose clock is ahead. */
async function startServer(seconds: number): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-shifted-'));
  const environment = { ...process.env, ...shiftedClock(seconds) };
  const server = await startEmbeddedServer(folder, 'db', { fsync: 'off', max_connections: '100' }, environment);
  onTestFinished(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return server.url;
}

describe.runIf(canShiftClocks)('clocks that are wrong', () => {
  test.each([
    ['a day', day],
    ['seconds', 7],
  ])(
    'a service whose clock is %s ahead writes, and another deletes it and writes again, and the other way round',
    async (_, seconds) => {
      const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
      const services = await Promise.all([startShifted(urls, seconds), startService({ env: databaseUrls(urls) })]);
      for (const [writer, deleter] of [services, services.toReversed()] as [Service, Service][]) {
        const body = Array.from({ length: 10 }, () => value('wrong'));
        await untilEqual(urls, (await write(writer, body)).ids);
        const all = { deleted: 10, done: true };
        expect(await remove(deleter, 'wrong')).toMatchObject({ db1: all, db2: all });
        for (const url of urls) expect(await namesIn(url)).not.toContain('wrong 10');
        await untilEqual(urls, (await write(deleter, [value('wrong')])).ids);
        await untilEqual(urls, (await write(writer, [value('wrong')])).ids);
        for (const url of urls) expect(await namesIn(url)).toEqual(['wrong 2']);
        expect(await remove(deleter, 'wrong')).toMatchObject({ db1: { deleted: 2 }, db2: { deleted: 2 } });
      }
    },
  );

  test('databases whose clocks are a day apart delete the same, though one of them learns of it later', async () => {
    const urls = await Promise.all([0, day, -day].map(startServer));
    const [first, ...others] = urls as [URL, URL, URL];
    const shown = await Promise.all(urls.map((url) => runSql(url, "select date_part('epoch', now()) as at")));
    const [a = 0, b = 0, c = 0] = shown.map(([row]) => Number(row?.at));
    expect([Math.round((b - a) / day), Math.round((c - a) / day)]).toEqual([1, -1]);
    const service = await startService({ env: databaseUrls(urls) });
    await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']));
    const bucket = Math.floor(Date.now() / 1_000) - 600;
    const send = async (name: string, key: string) => {
      const body = Array.from({ length: 10 }, () => ({ ...value(name), bucket }));
      return (await write(service, body, { 'Idempotency-Key': key })).ids;
    };
    await untilEqual(urls, await send('wrong', 'first'));
    const all = { deleted: 10, done: true };
    expect(await remove(service, 'wrong')).toMatchObject({ db1: all, db2: all, db3: all });
    // The same and others.
    await untilEqual(urls, await send('wrong', 'first'));
    await untilEqual(urls, await send('wrong', 'second'));
    expect(await remove(service, 'wrong')).toMatchObject({ db1: { deleted: 20 }, db2: { deleted: 20 } });

    // Each of the others has forgotten the deletion, and what it deleted is there again.
    await untilEqual(urls, await send('late', 'third'));
    await remove(service, 'late');
    const recent = await send('late', 'fourth');
    await untilEqual(urls, recent);
    service.process.kill('SIGKILL');
    await service.exited();
    for (const url of others) {
      await runSql(url, "delete from deletions where name = 'late'");
      await runSql(
        url,
        `insert into summaries (series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last, arrived)
         select series_id, bucket, gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1, arrived - interval '1 minute' from summaries`,
      );
    }
    const again = await startService({ env: databaseUrls(urls) });
    await eventually(async () => expect(await statesOf(again)).toEqual(['up', 'up', 'up']));
    await untilEqual(urls, recent);
    for (const url of [first, ...others]) expect(await namesIn(url)).toEqual(['late 10']);
  });
});
