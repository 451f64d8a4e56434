import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { v4, v7 } from 'uuid';
import { expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { Copy } from '../../src/repair/copy.ts';
import { createDeleter } from '../../src/repair/deletions.ts';
import { createPostgresStore, type PostgresStore } from '../../src/store/postgres-store.ts';
import { prepareCopies, setReadOnly } from '../support/copies.ts';
import { ageDeletions, deleteOn, everything, expectSound, namesIn, writeLate } from '../support/deleting.ts';
import { runSql } from '../support/fresh-database.ts';
import { bitsOf, minutes, monday, packAll } from '../support/packing.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

const observe = () => undefined;

test('takes away one name, or one part of its time, from all databases and from nothing else', async () => {
  const all = await prepareCopies(2);
  const summaries = minutes(120);
  for (const { store } of all.copies) await store.write(summaries);
  await rollUpOnce({ databases: all.databases, observe });
  const { outcomes } = await deleteOn(all, [0, 1], { name: 'a', from: monday + 60, to: monday + 3_600 });
  expect(outcomes).toEqual([
    { database: 'db1', outcome: 'ok', deleted: 60, isDone: true },
    { database: 'db2', outcome: 'ok', deleted: 60, isDone: true },
  ]);
  for (const url of all.urls) expect(await namesIn(url)).toEqual(['a 60', 'b 120']);
  await deleteOn(all, [0, 1], { name: 'b', ...everything });
  for (const url of all.urls) expect(await namesIn(url)).toEqual(['a 60']);
  await expectSound(all);
});

test('a database that was away deletes when it is back, and nothing is copied back from it', async () => {
  const all = await prepareCopies(3);
  const summaries = minutes(30);
  for (const { store } of all.copies) await store.write(summaries);
  await deleteOn(all, [0, 2], { name: 'a', ...everything });
  expect(await namesIn(all.urls[1] as URL)).toEqual(['a 30', 'b 30']);
  await all.repair();
  for (const url of all.urls) expect(await namesIn(url)).toEqual(['b 30']);
  await expectSound(all);
});

/** As those of an `Idempotency-Key`: their ids do not tell when they were made. */
const keyed = (count: number, bucket = monday) =>
  Array.from({ length: count }, (_, index) => summaryOf({ id: v4(), name: 'a', bucket: bucket + index }));

test('nothing that is deleted is copied from a database that takes no writes, whatever its ids; what is sent again is', async () => {
  const all = await prepareCopies(3);
  const [a, b, c] = all.urls as [URL, URL, URL];
  const old = keyed(5);
  for (const { store } of all.copies.slice(0, 2)) await store.write(old);
  await setReadOnly(all, 1, true);
  await deleteOn(all, [0, 1, 2], { name: 'a', ...everything });
  // Of the same hour, and one of them with the same id as before.
  await all.copies[0]?.store.write([...keyed(2, monday + 60), ...old.slice(0, 1)]);
  const passes = await all.repair();
  for (const url of [a, c]) expect(await namesIn(url)).toEqual(['a 3']);
  expect(await namesIn(b)).toEqual(['a 5']);
  expect(passes.at(-1)).toMatchObject({ hasFailed: true });
  // Nor when the others have nothing to do about it any more.
  await eventually(async () => {
    for (const url of [a, c]) await ageDeletions(url);
    await all.repair();
    for (const url of [a, c]) expect(await runSql(url, 'select from deletions where settled_at is null')).toEqual([]);
  });
  await sleep(200);
  await all.repair();
  for (const url of [a, c]) expect(await namesIn(url)).toEqual(['a 3']);

  await setReadOnly(all, 1, false);
  await eventually(async () => {
    await all.repair();
    for (const url of all.urls) expect(await namesIn(url)).toEqual(['a 3']);
  });
  await expectSound(all);
});

test('a database that cannot note a deletion keeps no other from repair, and is no source of what is deleted', async () => {
  const all = await prepareCopies(3);
  const [a, b, c] = all.urls as [URL, URL, URL];
  for (const { store } of all.copies) await store.write(keyed(5));
  // As one without room.
  await runSql(
    b,
    `create function refuse() returns trigger language plpgsql as $$ begin raise sqlstate '53100'; end $$`,
  );
  const event = 'before insert or update or delete';
  for (const table of ['deletions', 'summaries'])
    await runSql(b, `create trigger full_disk ${event} on ${table} for each statement execute function refuse()`);
  // Which those who write notice first.
  const writer = createPostgresStore({ database: all.databases[1] as Database, observe });
  for (const pauseMs of [300, 700, 0]) {
    await expect(writer.write(keyed(1))).rejects.toMatchObject({ code: 'disk_full' });
    await sleep(pauseMs);
  }
  const { outcomes } = await deleteOn(all, [0, 1, 2], { name: 'a', ...everything });
  expect(outcomes[1]).toMatchObject({ outcome: 'disk_full', isDone: false });
  await all.copies[0]?.store.write(minutes(10));
  // Longer than it is left alone.
  for (const endMs = performance.now() + 4_000; performance.now() < endMs; ) await all.repair();
  for (const url of [a, c]) expect(await namesIn(url)).toEqual(['a 10', 'b 10']);

  for (const table of ['deletions', 'summaries']) await runSql(b, `drop trigger full_disk on ${table}`);
  await eventually(async () => {
    await all.repair();
    for (const url of all.urls) expect(await namesIn(url)).toEqual(['a 10', 'b 10']);
  }, 30_000);
  await expectSound(all);
}, 60_000);

test('a deletion that comes while summaries are being copied brings none of them back', async () => {
  const all = await prepareCopies(3);
  for (const { store } of all.copies.slice(0, 2)) await store.write(keyed(5));
  // Deleted everywhere after they were read, and before they are written where they are missing.
  let isDeleted = false;
  const copies = all.copies.map((copy): Copy => {
    const selectHeld: PostgresStore['selectHeld'] = async (spans) => {
      const held = await copy.store.selectHeld(spans);
      if (isDeleted) return held;
      isDeleted = true;
      await deleteOn(all, [0, 1, 2], { name: 'a', ...everything });
      return held;
    };
    return { ...copy, store: { ...copy.store, selectHeld } };
  });
  await all.repair({ copies });
  expect(isDeleted).toBe(true);
  await all.repair();
  for (const url of all.urls) expect(await namesIn(url)).toEqual([]);
});

test('what is sent for the same time afterwards is kept and repaired, with any kind of id', async () => {
  const all = await prepareCopies(2);
  const old = minutes(10);
  for (const { store } of all.copies) await store.write(old);
  await deleteOn(all, [0, 1], { name: 'a', ...everything });
  const corrected = [v4(), v7({ msecs: Date.now() + 100 })].map((id) => summaryOf({ id, name: 'a', bucket: monday }));
  await all.copies[0]?.store.write(corrected);
  await all.repair();
  for (const url of all.urls) expect(await namesIn(url)).toEqual(['a 2', 'b 10']);
  await expectSound(all);
});

test('what was received before a deletion and comes after it is not stored, however long after', async () => {
  const all = await prepareCopies(2);
  const late = minutes(5);
  await sleep(100);
  await deleteOn(all, [0, 1], { name: 'a', ...everything });
  for (const copy of all.copies) await writeLate(copy, late, 5_000);
  for (const url of all.urls) expect(await namesIn(url)).toEqual(['b 5']);
  for (const url of all.urls) await runSql(url, 'update deletions set settled_at = now()');
  for (const copy of all.copies) await writeLate(copy, late, 60_000);
  await all.repair();
  for (const url of all.urls) expect(await namesIn(url)).toEqual(['b 5']);
});

test('what was received before a deletion, and stored where that is not known, goes when it is', async () => {
  const all = await prepareCopies(3);
  const late = minutes(5);
  await deleteOn(all, [0, 1], { name: 'a', ...everything });
  await writeLate(all.copies[2], late, 5_000);
  await all.repair();
  for (const url of all.urls) expect(await namesIn(url)).toEqual(['b 5']);
});

test('is known to a database that was restored from before it, and to one that is new', async () => {
  const all = await prepareCopies(3);
  const summaries = minutes(10);
  for (const { store } of all.copies.slice(0, 2)) await store.write(summaries);
  await deleteOn(all, [0, 1], { name: 'a', ...everything });
  await runSql(all.urls[1] as URL, 'delete from deletions');
  await writeLate(all.copies[1], summaries, 5_000);
  await all.repair();
  for (const url of all.urls) expect(await namesIn(url)).toEqual(['b 10']);
});

test('is read by repair only when something is to be copied', async () => {
  const all = await prepareCopies(2);
  const summaries = minutes(10);
  await deleteOn(all, [0, 1], { name: 'a', ...everything });
  for (const url of all.urls) await runSql(url, 'update deletions set settled_at = now()');
  let reads = 0;
  const copies = all.copies.map((copy): Copy => {
    const query: Database['query'] = (purpose, statement) => {
      if (statement.text.includes('"deletedAt"')) reads += 1;
      return copy.database.query(purpose, statement);
    };
    return { ...copy, database: { ...copy.database, query } };
  });
  await all.repair({ copies });
  expect(reads).toBe(0);
  await all.copies[1]?.store.write(summaries);
  await all.repair({ copies });
  expect(reads).toBeGreaterThan(0);
  expect(await namesIn(all.urls[0] as URL)).toEqual(['a 10', 'b 10']);
});

test('is refused when too few databases can note it', async () => {
  const all = await prepareCopies(2);
  await runSql(all.urls[1] as URL, 'drop table deletions');
  const deleter = createDeleter({ copies: all.copies, acks: 2 });
  const refused = deleter.delete({ name: 'a', ...everything });
  await expect(refused).rejects.toMatchObject({
    code: 'too_few_copies',
    message: '1 of 2 databases have noted the deletion, 2 needed',
  });
});

test('leaves what a plain filter leaves, packed or not, rolled up or not', { timeout: 90_000 }, async () => {
  const all = await prepareCopies(2);
  const [, packed] = all.urls as [URL, URL];
  const anyRange = fc
    .tuple(fc.nat(200), fc.nat(200))
    .map(([a, b]) => ({ from: monday + Math.min(a, b) * 60, to: monday + Math.max(a, b) * 60 }));
  const anyCase = fc.record({
    ranges: fc.array(anyRange, { minLength: 1, maxLength: 3 }),
    isPacked: fc.boolean(),
    late: fc.nat(20),
  });
  await fc.assert(
    fc.asyncProperty(anyCase, async ({ ranges, isPacked, late }) => {
      for (const url of all.urls) await runSql(url, 'truncate summaries; truncate deletions');
      const summaries = minutes(180);
      for (const { store } of all.copies) await store.write(summaries);
      await rollUpOnce({ databases: all.databases, observe });
      if (isPacked) await packAll(packed);
      const lateOnes = minutes(late, 30);
      for (const { store } of all.copies) await store.write(lateOnes);
      for (const range of ranges) await deleteOn(all, [0, 1], { name: 'a', ...range });
      const isLeft = ({ name, bucket }: { name: string; bucket: number }) =>
        name !== 'a' || !ranges.some(({ from, to }) => bucket >= from && bucket <= to);
      const left = [...summaries, ...lateOnes].filter(isLeft).map(({ id }) => id);
      for (const url of all.urls) {
        const ids = (await bitsOf(url)).map((bits) => bits.split(' ')[1]);
        expect(ids.toSorted()).toEqual(left.toSorted());
      }
      await expectSound(all);
    }),
    { numRuns: 5 },
  );
});
