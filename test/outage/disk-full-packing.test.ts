import { chown, mkdir, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { packOnce } from '../../src/database/pack.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { Observation } from '../../src/domain/observation.ts';
import { findServerUser } from '../../src/embedded/server-user.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { withClock } from '../support/clocks.ts';
import { createFragileServer, type FragileServer } from '../support/fragile-server.ts';
import { freshDatabase, runSql } from '../support/fresh-database.ts';
import { bitsOf, day, minutes, packStep, packWhile, week, whereTheyAre } from '../support/packing.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';
import { patientMs } from '../support/stored.ts';
import { summaryOf } from '../support/summaries.ts';

vi.setConfig({ testTimeout: patientMs });

/** Less than a week of minutes takes when it is packed, and more than some writes take. */
const littleBytes = 400 * 1_024;

let disk: SmallDisk | undefined;
let server: FragileServer | undefined;

beforeAll(async () => {
  disk = await mountSmallDisk(64);
  if (disk) server = await createFragileServer();
});

afterAll(async () => {
  await server?.remove();
  await disk?.remove();
});

/** A database on the small disk, with a week that is due to be packed, and what is left on that disk. */
async function prepareSmall(skip: (note: string) => never) {
  if (!server || !disk) return skip("a disk of one's own to fill up takes the right to mount: run as root");
  const { path, free } = disk;
  const location = join(path, 'tables');
  await mkdir(location, { recursive: true });
  const user = await findServerUser(location);
  if (user) await chown(location, user.uid, user.gid);
  await runSql(server.url, `create tablespace small location '${location}'`).catch(() => undefined);
  const url = await server.createDatabase('small');
  const database = await freshDatabase({ url });
  const observations: Observation[] = [];
  const observe = (observation: Observation) => void observations.push(observation);
  const store = createPostgresStore({ database, observe });
  const roomBytes = async () => {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  };
  const now = () => Date.now() / 1000 + 30 * day;
  const options = { databases: [withClock(database, now)], packAfterSeconds: day, now, observe };
  const summaries = minutes(9_000);
  for (let start = 0; start < summaries.length; start += 5_000)
    await store.write(summaries.slice(start, start + 5_000));
  await store.write([summaryOf({ name: 'now' })]);
  await rollUpOnce(options);
  return {
    url,
    store,
    roomBytes,
    free,
    rollUp: () => rollUpOnce(options),
    pack: () => packOnce(options),
    /** What became of the packing since it was asked the last time. */
    ends: () =>
      observations.splice(0).flatMap((one) => {
        if (one.type === 'maintenance_failed') return [one.failure.code];
        return one.type === 'week_packed' ? ['packed'] : [];
      }),
    async leaveLittle() {
      await runSql(url, 'checkpoint');
      await writeFile(join(path, 'ballast'), Buffer.alloc((await roomBytes()) - littleBytes));
    },
  };
}

async function expectAll(url: URL, wanted: readonly string[]): Promise<void> {
  const held = new Set(await bitsOf(url));
  expect(wanted.filter((bits) => !held.has(bits))).toEqual([]);
}

test('a pack for which there is no room takes none from the writes, loses nothing, and is done when there is', async ({
  skip,
}) => {
  const { url, store, roomBytes, free, pack, ends, leaveLittle } = await prepareSmall(skip);
  const before = await bitsOf(url);
  await leaveLittle();
  for (let time = 0; time < 2; time += 1) {
    await pack();
    expect(ends()).toEqual(['disk_full']);
    expect(await roomBytes()).toBeGreaterThan(littleBytes / 2);
    expect(await bitsOf(url)).toEqual(before);
  }
  // Of now, so that the week stays as it is.
  await store.write([summaryOf({ name: 'now' })]);
  expect(await whereTheyAre(url)).toEqual({ rows: before.length + 1, packed: 0 });

  await free();
  await pack();
  expect(ends()).toEqual(['packed']);
  expect(await whereTheyAre(url)).toEqual({ rows: 2, packed: before.length - 1 });
  await expectAll(url, before);
});

test('a pack whose disk fills while it is at work is thrown away, and gives back the room that it took', async ({
  skip,
}) => {
  const { url, store, roomBytes, free, rollUp, pack, ends, leaveLittle } = await prepareSmall(skip);
  // The table has been packed into before, and vacuumed, as it is sooner or later.
  expect(await packWhile(url, ['begun', 'copied', 'packed'], 50_000)).toBe('idle');
  await runSql(url, 'vacuum packed_summaries');
  await store.write(minutes(9_000, week));
  await rollUp();
  const before = await bitsOf(url);
  expect(await packStep(url)).toBe('begun');
  await leaveLittle();
  await pack();
  expect(ends()).toEqual(['disk_full']);
  expect(await roomBytes()).toBeGreaterThan(littleBytes / 2);
  expect(await bitsOf(url)).toEqual(before);
  await store.write([summaryOf({ name: 'now' })]);

  await free();
  await pack();
  expect(ends()).toEqual(['packed']);
  await expectAll(url, before);
});
