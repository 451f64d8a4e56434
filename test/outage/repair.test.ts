import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createFragileServers, type FragileServer } from '../support/fragile-server.ts';
import { runSql } from '../support/fresh-database.ts';
import { bitsOf } from '../support/packing.ts';
import { point, read, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

/** Of the time that is promised, and more than a busy machine needs for so little. */
const repairedWithinMs = 30_000;

let servers: [FragileServer, FragileServer, FragileServer];

beforeAll(async () => {
  servers = (await createFragileServers(3)) as typeof servers;
});

afterEach(() => Promise.all(servers.map((server) => server.restore())));

afterAll(() => Promise.all((servers ?? []).map((server) => server.remove())));

const startOn = (urls: readonly URL[]) => startService({ env: { DATABASE_URLS: urls.join('|') } });

async function writeMany(service: Service, name: string, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    expect((await write(service, [point(name), point(`${name}.${index}`)])).status).toBe(201);
  }
}

async function expectEqual(urls: readonly URL[], count: number): Promise<void> {
  await eventually(async () => {
    const [first, ...others] = await Promise.all(urls.map(bitsOf));
    expect(first).toHaveLength(count);
    for (const other of others) expect(other).toEqual(first);
  }, repairedWithinMs);
}

test('what a database missed it gets when it is back, though every m2pg was killed meanwhile', async () => {
  const urls = await Promise.all(servers.map((server) => server.createDatabase()));
  const first = await startOn(urls);
  await writeMany(first, 'before', 5);
  await servers[1].kill();
  await writeMany(first, 'without b', 10);
  await servers[2].kill();
  await servers[1].start();
  await eventually(async () => expect((await read(first, {})).databases).toBe('db1=ok, db2=ok, db3=unreachable'));
  await writeMany(first, 'without c', 10);
  first.process.kill('SIGKILL');
  await first.exited();

  await servers[2].start();
  const second = await startOn(urls);
  await expectEqual(urls, 50);
  expect(await read(second, {})).toMatchObject({ count: 50, complete: 'true' });
  await eventually(async () => {
    const status = await (await fetch(`${second.url}/-/status`)).json();
    expect(status).toMatchObject({ databases: [1, 2, 3].map(() => ({ repair: { behind: 0 } })) });
  });
});

test('a database that is added is filled, in whatever order they are named', async () => {
  const [a, b, c] = (await Promise.all(servers.map((server) => server.createDatabase()))) as [URL, URL, URL];
  const first = await startOn([a, b]);
  await writeMany(first, 'old', 10);
  first.process.kill('SIGTERM');
  await first.exited();
  const second = await startOn([c, b, a]);
  await expectEqual([a, b, c], 20);
  await writeMany(second, 'new', 5);
  await expectEqual([a, b, c], 30);
});

test('a database that was emptied, dropped into pieces or restored from long ago is filled again', async () => {
  const urls = (await Promise.all(servers.map((server) => server.createDatabase()))) as [URL, URL, URL];
  const service = await startOn(urls);
  await writeMany(service, 'kept', 10);
  await expectEqual(urls, 20);
  await runSql(urls[0], 'drop table summaries, series cascade');
  await runSql(urls[1], "delete from summaries where series_id in (select id from series where name like 'kept.%')");
  await expectEqual(urls, 20);
});
