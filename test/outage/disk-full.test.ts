import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { findServerUser } from '../../src/embedded/server-user.ts';
import { createFragileServer, type FragileServer } from '../support/fragile-server.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { expectUndisturbed } from '../support/load.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, statesOf, write } from '../support/service-client.ts';
import { eventually, startService } from '../support/service-process.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';
import { idsIn, patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

/** For all that a server has, its log of writes among it; and for the tables of one database. */
let disks: (SmallDisk | undefined)[];
let server: FragileServer | undefined;

beforeAll(async () => {
  disks = await Promise.all([mountSmallDisk(256), mountSmallDisk(48)]);
  if (disks[0]) server = await createFragileServer({ parent: disks[0].path });
});

afterAll(async () => {
  await server?.remove();
  await Promise.all((disks ?? []).map((disk) => disk?.remove()));
});

/** What the tests need, or a skip that says what is missing. */
function findGround(skip: (note: string) => never) {
  const [whole, tables] = disks;
  if (!server || !whole || !tables) return skip("a disk of one's own to fill up takes the right to mount: run as root");
  return { server, whole, tables };
}

test('a database without room for a row disturbs no write, is read, is asked seldom, and catches up', async ({
  skip,
}) => {
  const { server, tables } = findGround(skip);
  const location = join(tables.path, 'tables');
  await mkdir(location);
  const user = await findServerUser(location);
  if (user) await chown(location, user.uid, user.gid);
  await runSql(server.url, `create tablespace small location '${location}'`);
  const full = await server.createDatabase('small');
  const urls = [await freshDatabaseUrl(), full, await freshDatabaseUrl()];
  const service = await startService({ env: databaseUrls(urls) });

  // Their ids, which are made of the key, do not tell when they were made; their minute is at rest.
  const keyed = Array.from({ length: 5 }, () => ({ ...point('wrong'), bucket: Math.floor(Date.now() / 1000) - 600 }));
  const { ids } = await write(service, keyed, { 'Idempotency-Key': 'key' });
  await untilEqual(urls, ids);

  const fill = async () => {
    await tables.fill();
    // Only known while something is refused.
    await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'read_only', 'up']));
  };
  const answers = await expectUndisturbed(service, fill, 500);
  expect(await read(service, {})).toMatchObject({
    count: answers.all.length + ids.length,
    complete: 'true',
    databases: 'db1=ok, db2=ok, db3=ok',
  });
  const refusals = (await server.log()).match(/No space left on device/g) ?? [];
  expect(refusals.length).toBeGreaterThan(0);
  expect(refusals.length).toBeLessThan(30);

  const isDeleted = async (places: readonly number[]) => {
    const held = await Promise.all(urls.filter((_, place) => places.includes(place)).map(idsIn));
    expect(held.flat().filter((id) => ids.includes(id))).toEqual([]);
  };
  const deleted = await fetch(`${service.url}/metrics?name=wrong`, { method: 'DELETE' });
  expect(deleted.status).toBe(200);
  // Long enough for repair, which could take them from the one that had no room to note it.
  const endMs = performance.now() + 10_000;
  while (performance.now() < endMs) {
    await isDeleted([0, 2]);
    await write(service, point('meanwhile'));
    await sleep(200);
  }

  await tables.free();
  await untilEqual(
    urls,
    answers.all.flatMap((answer) => answer.ids),
  );
  await isDeleted([0, 1, 2]);
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up', 'up']), 20_000);
});

test('a server that panics for want of room for its log disturbs no write, and catches up after its start', async ({
  skip,
}) => {
  const { server, whole } = findGround(skip);
  const urls = [await freshDatabaseUrl(), await server.createDatabase(), await freshDatabaseUrl()];
  const service = await startService({ env: databaseUrls(urls) });

  const answers = await expectUndisturbed(service, async () => {
    await whole.fill();
    // Takes more than is left of the log's present part, and touches no table.
    const text = `select pg_logical_emit_message(true, 'm2pg', repeat('x', 1000000)) from generate_series(1, 64)`;
    await runSql(server.url, text).catch(() => undefined);
  });
  expect(await server.log()).toMatch(/PANIC:.*No space left on device/);
  expect(await read(service, {})).toMatchObject({ status: 200, count: answers.all.length, complete: 'false' });

  await whole.free();
  await server.restore();
  await untilEqual(
    urls,
    answers.all.flatMap(({ ids }) => ids),
  );
});
