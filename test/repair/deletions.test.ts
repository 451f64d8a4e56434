import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { v4, v7 } from 'uuid';
import { expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import type { DeletionRequest } from '../../src/domain/deletion.ts';
import type { Store } from '../../src/domain/store.ts';
import type { Copy } from '../../src/repair/copy.ts';
import { createDeleter, syncDeletions } from '../../src/repair/deletions.ts';
import { verify } from '../../src/repair/verify.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { type Copies, prepareCopies, setReadOnly } from '../support/copies.ts';
import { runSql } from '../support/fresh-database.ts';
import { bitsOf, minutes, monday, packAll } from '../support/packing.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

const everything = { from: 0, to: 4e9 };
const observe = () => undefined;
const always = { mayGoOn: () => true, onFailed: observe };

/** Deletes on some of the databases, as if the others were away. */
function deleteOn(all: Copies, indices: readonly number[], request: DeletionRequest, deletedAt = Date.now() / 1000) {
  const copies = all.copies.filter((_, index) => indices.includes(index));
  return createDeleter({ copies, acks: 1, now: () => deletedAt }).delete(request);
}

const namesIn = async (url: URL) =>
  (
    await runSql(
      url,
      'select name, count(*)::int as count from summaries join series on series_id = series.id group by 1 order by 1',
    )
  ).map(({ name, count }) => `${name} ${count}`);

/** Digests and roll-ups are what is stored, and databases agree. */
async function expectSound(all: Copies): Promise<void> {
  await rollUpOnce({ databases: all.databases, observe });
  const range = { from: monday - 86_400, until: Math.ceil(Date.now() / 3_600_000 + 2) * 3_600 };
  for await (const { findings } of verify({ copies: all.copies, namePattern: undefined, range, restMs: 20 })) {
    expect(findings).toEqual([]);
  }
}

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
    const selectSpans: Store['selectSpans'] = async (spans) => {
      const selection = await copy.store.selectSpans(spans);
      if (isDeleted) return selection;
      isDeleted = true;
      await deleteOn(all, [0, 1, 2], { name: 'a', ...everything });
      return selection;
    };
    return { ...copy, store: { ...copy.store, selectSpans } };
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

test('what was on its way when it was deleted is deleted when it comes', async () => {
  const all = await prepareCopies(2);
  const late = summaryOf({ name: 'a', bucket: monday });
  await deleteOn(all, [0, 1], { name: 'a', ...everything });
  for (const { store } of all.copies) await store.write([late]);
  await syncDeletions(all.copies, always);
  for (const url of all.urls) expect(await namesIn(url)).toEqual([]);
  // Long after, in one of them: as from a server that was frozen.
  for (const url of all.urls) await runSql(url, 'update deletions set settled_at = now()');
  await all.copies[1]?.store.write([late]);
  await all.repair();
  await syncDeletions(all.copies, always);
  for (const url of all.urls) expect(await namesIn(url)).toEqual([]);
});

test('is known to a database that was restored from before it, and to one that is new', async () => {
  const all = await prepareCopies(3);
  const summaries = minutes(10);
  for (const { store } of all.copies.slice(0, 2)) await store.write(summaries);
  await deleteOn(all, [0, 1], { name: 'a', ...everything });
  await runSql(all.urls[1] as URL, 'delete from deletions');
  await all.copies[1]?.store.write(summaries);
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
  expect(await namesIn(all.urls[0] as URL)).toEqual(['b 10']);
});

test('is refused when too few databases can note it', async () => {
  const all = await prepareCopies(2);
  await runSql(all.urls[1] as URL, 'drop table deletions');
  const deleter = createDeleter({ copies: all.copies, acks: 2, now: () => Date.now() / 1000 });
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
