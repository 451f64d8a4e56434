import { setTimeout as sleep } from 'node:timers/promises';
import { v4, v7 } from 'uuid';
import { describe, expect, test } from 'vitest';
import { createDeletionMemory } from '../../src/database/deletion-memory.ts';
import { applyDeletion, noteDeletions, type Run } from '../../src/database/deletions.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { Summary } from '../../src/domain/summary.ts';
import type { Copy } from '../../src/repair/copy.ts';
import { syncDeletions } from '../../src/repair/deletions.ts';
import { type Copies, prepareCopies, setReadOnly } from '../support/copies.ts';
import { ageBy, ageDeletions, deleteOn, everything, expectSound, namesIn, writeLate } from '../support/deleting.ts';
import { runSql } from '../support/fresh-database.ts';
import { minutes, monday, packAll } from '../support/packing.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

const runOn =
  ({ database }: Copy): Run =>
  (text, values = []) =>
    database.query('write', { text, values });

/** Notes a deletion of `a` in one database, after the time that every deletion waits, and does not apply it yet. */
async function noteOnly(copy: Copy): Promise<string> {
  await sleep(300);
  const id = v4();
  const deletion = { id, name: 'a', ...everything, isById: false, deletedAt: Date.now() / 1_000 };
  await noteDeletions(runOn(copy), [deletion]);
  return id;
}

async function writeAll({ copies }: Copies, summaries: readonly Summary[]): Promise<void> {
  for (const { store } of copies) await store.write(summaries);
}

/** Rolled up, so that old weeks can be packed. */
async function packIf(isPacked: boolean, all: Copies): Promise<void> {
  if (!isPacked) return;
  await rollUpOnce({ databases: all.databases, observe: all.observe });
  for (const url of all.urls) await packAll(url);
}

/** As if half a minute had passed: no deletion is to be applied once more. */
async function settle(all: Copies): Promise<void> {
  await eventually(async () => {
    for (const url of all.urls) await ageDeletions(url);
    await all.repair();
    for (const url of all.urls) {
      expect(await runSql(url, 'select from deletions where settled_at is null')).toEqual([]);
    }
  });
}

async function expectEverywhere(all: Copies, names: readonly string[]): Promise<void> {
  await all.repair();
  for (const url of all.urls) expect(await namesIn(url)).toEqual(names);
  await settle(all);
  await all.repair();
  for (const url of all.urls) expect(await namesIn(url)).toEqual(names);
  await expectSound(all);
}

describe.each([
  ['rows', false],
  ['packed', true],
] as const)('%s', (_, isPacked) => {
  test('what is sent again with the same ids stays, also where the deletion is noted and not applied yet', async () => {
    const all = await prepareCopies(2);
    const [a, b] = all.copies as [Copy, Copy];
    const summaries = minutes(30);
    await writeAll(all, summaries);
    await packIf(isPacked, all);
    await noteOnly(a);
    await a.store.write(summaries.slice(0, 20));
    await b.store.write(summaries.slice(0, 20));
    await expectEverywhere(all, ['a 10', 'b 30']);
  });

  test('what is sent again with the same ids stays where the deletion is not known, one database after the other away', async () => {
    const all = await prepareCopies(2);
    const summaries = minutes(30);
    await writeAll(all, summaries);
    await packIf(isPacked, all);
    for (const url of all.urls) await ageBy(url, 10);
    await deleteOn(all, [0], { name: 'a', ...everything });
    await all.copies[1]?.store.write(summaries.slice(0, 20));
    await expectEverywhere(all, ['a 10', 'b 30']);
  });

  test('what was acknowledged before goes from a database that learns of the deletion an hour later', async () => {
    const all = await prepareCopies(3);
    const [old, recent] = [minutes(20), minutes(10, 1)];
    await writeAll(all, old);
    await packIf(isPacked, all);
    await deleteOn(all, [0, 1], { name: 'a', ...everything });
    for (const url of all.urls) await ageBy(url, 3_600);
    await all.copies[2]?.store.write(recent);
    await expectEverywhere(all, ['a 10', 'b 30']);
  });

  test('a database whose clock was ahead and came back deletes what it noted meanwhile', async () => {
    const all = await prepareCopies(2);
    await writeAll(all, minutes(20));
    await packIf(isPacked, all);
    for (const url of all.urls) await ageBy(url, -86_400);
    const { outcomes } = await deleteOn(all, [0, 1], { name: 'a', ...everything });
    expect(outcomes).toMatchObject([
      { deleted: 20, isDone: true },
      { deleted: 20, isDone: true },
    ]);
    await expectEverywhere(all, ['b 20']);
  });
});

test('takes all there is, whatever the ids say and however far ahead the buckets are', async () => {
  const all = await prepareCopies(2);
  const now = Math.floor(Date.now() / 1_000);
  const msecs = Date.now() + 86_400_000;
  const ahead = Array.from({ length: 20 }, (_, index) =>
    summaryOf({ id: v7({ msecs: msecs + index }), name: 'a', bucket: now + 86_400 - index }),
  );
  await writeAll(all, ahead);
  const { outcomes } = await deleteOn(all, [0, 1], { name: 'a', ...everything });
  expect(outcomes).toMatchObject([
    { deleted: 20, isDone: true },
    { deleted: 20, isDone: true },
  ]);
  // An id of long ago on what is sent afterwards.
  await all.copies[0]?.store.write([summaryOf({ id: v7({ msecs: 1e12 }), name: 'a', bucket: now })]);
  await expectEverywhere(all, ['a 1']);
});

test('what is sent while a large deletion is applied stays, with new ids and with the same', async () => {
  const all = await prepareCopies(1);
  const [copy] = all.copies as [Copy];
  const old = Array.from({ length: 12_000 }, (_, index) => summaryOf({ name: 'a', bucket: monday + index }));
  await copy.store.write(old);
  const id = await noteOnly(copy);
  let steps = 0;
  const again = [...old.slice(0, 100), ...old.slice(-100), summaryOf({ name: 'a', bucket: monday })];
  const writing: Promise<unknown>[] = [];
  const isDone = await applyDeletion(runOn(copy), id, async () => {
    steps += 1;
    // One of them while the next step is under way.
    writing.push(copy.store.write(again));
    if (steps === 1) await Promise.all(writing);
    return true;
  });
  await Promise.all(writing);
  expect(steps).toBeGreaterThan(1);
  expect(isDone).toBe(true);
  await expectEverywhere(all, ['a 201']);
});

test('goes on while the same summaries are sent again and again, and what was sent last stays', async () => {
  const all = await prepareCopies(2);
  const summaries = Array.from({ length: 8_000 }, (_, index) => summaryOf({ name: 'a', bucket: monday + index }));
  await writeAll(all, summaries);
  for (const url of all.urls) await ageBy(url, 10);
  let isOver = false;
  const sending = (async () => {
    while (!isOver) await Promise.all(all.copies.map(({ store }) => store.write(summaries)));
  })();
  await sleep(200);
  const { outcomes } = await deleteOn(all, [0, 1], { name: 'a', ...everything });
  isOver = true;
  await sending;
  await writeAll(all, summaries);
  expect(outcomes).toMatchObject([{ outcome: 'ok' }, { outcome: 'ok' }]);
  await expectEverywhere(all, ['a 8000']);
}, 120_000);

test('the answer counts all that went, whoever took it away', async () => {
  const all = await prepareCopies(2);
  const summaries = Array.from({ length: 20_000 }, (_, index) => summaryOf({ name: 'a', bucket: monday + index }));
  await writeAll(all, summaries);
  let isOver = false;
  const others = (async () => {
    const options = { memory: createDeletionMemory(), mayGoOn: () => true, onFailed: () => undefined };
    while (!isOver) await syncDeletions(all.copies, options);
  })();
  const { outcomes } = await deleteOn(all, [0, 1], { name: 'a', ...everything });
  isOver = true;
  await others;
  expect(outcomes).toMatchObject([
    { deleted: 20_000, isDone: true },
    { deleted: 20_000, isDone: true },
  ]);
}, 60_000);

test('a deletion that was applied and lies in the future, since the clock was set back, takes nothing more', async () => {
  const all = await prepareCopies(2);
  await writeAll(all, minutes(10));
  await deleteOn(all, [0, 1], { name: 'a', ...everything });
  for (const url of all.urls) await ageBy(url, 10);
  await runSql(all.urls[0] as URL, "update deletions set deleted_at = now() + interval '1 hour'");
  await writeAll(all, minutes(20, 30));
  // Also by the way of those that waited.
  await writeLate(all.copies[0], minutes(5, 60), 5_000);
  await expectEverywhere(all, ['a 25', 'b 35']);
});

test('of a deletion that has settled, what is there is alive, and copied to all others', async () => {
  const all = await prepareCopies(3);
  await writeAll(all, minutes(10));
  await deleteOn(all, [0, 1, 2], { name: 'a', ...everything });
  await settle(all);
  await all.copies[0]?.store.write(minutes(20));
  // As if its clock had been set back an hour since the deletion.
  await runSql(all.urls[0] as URL, "update summaries set arrived = arrived - interval '1 hour'");
  await expectEverywhere(all, ['a 20', 'b 30']);
});

test('what is copied keeps the time at which it was received, in each database by its own clock', async () => {
  const all = await prepareCopies(3);
  const [a, b] = all.urls as [URL, URL];
  await all.copies[0]?.store.write(minutes(5));
  await all.copies[1]?.store.write(minutes(5, 600));
  await ageBy(a, 3_600);
  await runSql(b, "update summaries set arrived = '-infinity'");
  await all.repair();
  const text = `select date_part('epoch', bucket)::int < $1 as early,
    min(date_part('epoch', now()) - date_part('epoch', arrived)) as least,
    max(date_part('epoch', now()) - date_part('epoch', arrived)) as most from summaries group by 1 order by 1`;
  for (const url of all.urls) {
    const [late, early] = await runSql(url, text, [monday + 600]);
    expect(late).toMatchObject({ least: Number.POSITIVE_INFINITY, most: Number.POSITIVE_INFINITY });
    expect(Number(early?.least)).toBeGreaterThan(3_600);
    expect(Number(early?.most)).toBeLessThan(3_600 + 60);
  }
});

test('of a database that takes no writes, only what came after a deletion is copied', async () => {
  const all = await prepareCopies(3);
  await all.copies[1]?.store.write(minutes(10));
  await ageBy(all.urls[1] as URL, 10);
  await sleep(100);
  await deleteOn(all, [0], { name: 'a', ...everything });
  await all.copies[1]?.store.write(minutes(5, 30));
  await setReadOnly(all, 1, true);
  await all.repair();
  for (const url of [all.urls[0], all.urls[2]]) expect(await namesIn(url as URL)).toEqual(['a 5', 'b 15']);
});
