import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { createDeletionMemory } from '../../src/database/deletion-memory.ts';
import { syncDeletions } from '../../src/repair/deletions.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { type Copies, prepareCopies } from '../support/copies.ts';
import { deleteOn, everything, namesIn } from '../support/deleting.ts';
import { runSql } from '../support/fresh-database.ts';
import { holdLocks } from '../support/lock.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

const observe = () => undefined;

/** A store of the last database whose inserts wait until they are let. */
function heldStore(all: Copies) {
  const database = all.databases.at(-1) as Database;
  const gate = Promise.withResolvers<void>();
  const held: Database = {
    ...database,
    async query(purpose, statement) {
      if (statement.text.includes('insert into summaries')) await gate.promise;
      return database.query(purpose, statement);
    },
  };
  return { store: createPostgresStore({ database: held, observe }), open: () => gate.resolve() };
}

/** Who waits for a lock. */
const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";

/** With the names and the week that tests need. */
async function prepareWarm(count: number): Promise<Copies> {
  const all = await prepareCopies(count);
  for (const { store } of all.copies) await store.write([summaryOf({ name: 'a' }), summaryOf({ name: 'b' })]);
  for (const url of all.urls) await runSql(url, 'delete from summaries');
  return all;
}

test('what waits in a batch together with what came after the request is covered', async () => {
  const all = await prepareWarm(2);
  const { store, open } = heldStore(all);
  const first = store.write([summaryOf({ name: 'b' })]);
  await new Promise(setImmediate);
  const before = store.write([summaryOf({ name: 'a' })]);
  const deleting = deleteOn(all, [0, 1], { name: 'a', ...everything });
  await sleep(80);
  const meanwhile = store.write([summaryOf({ name: 'a' })]);
  open();
  await Promise.all([first, before, meanwhile, deleting]);
  expect(await namesIn(all.urls[1] as URL)).toEqual(['b 1']);
});

test('what waits for a lock while a deletion is applied goes when that is applied again, however long it waits', async () => {
  const all = await prepareWarm(1);
  const [url] = all.urls as [URL];
  const summary = summaryOf({ name: 'a', bucket: Math.floor(Date.now() / 1_000) });
  // Somebody else is about to store the same, and does not.
  const locks = await holdLocks(
    [url],
    `insert into summaries select id, to_timestamp(${summary.bucket}), '${summary.id}', 1, 1, 1, 1, 1, 1, 1, 1
     from series where name = 'a'`,
  );
  const writing = all.copies[0]?.store.write([summary]);
  await eventually(async () => expect(await runSql(url, waiting)).toHaveLength(1));
  expect((await deleteOn(all, [0], { name: 'a', ...everything })).outcomes).toMatchObject([
    { deleted: 0, isDone: true },
  ]);
  // As if it had waited for longer than a deletion takes to settle.
  await runSql(
    url,
    "update deletions set noted_at = now() + interval '1 hour', applied_at = now() - interval '1 minute'",
  );
  const sync = () =>
    syncDeletions(all.copies, { memory: createDeletionMemory(), mayGoOn: () => true, onFailed: observe });
  const settled = 'select count(settled_at)::int as settled from deletions';
  await sync();
  expect(await runSql(url, settled)).toEqual([{ settled: 0 }]);
  await locks.release();
  await writing;
  expect(await namesIn(url)).toEqual(['a 1']);
  await sync();
  expect(await namesIn(url)).toEqual([]);
  expect(await runSql(url, settled)).toEqual([{ settled: 1 }]);
});

test('what is sent again while its deletion waits for it stays', async () => {
  const all = await prepareWarm(1);
  const [url] = all.urls as [URL];
  const summaries = Array.from({ length: 5 }, () => summaryOf({ name: 'a' }));
  await all.copies[0]?.store.write(summaries);
  // As the statement of a writer that has not ended yet.
  const writer = new Client({ connectionString: url.href });
  await writer.connect();
  onTestFinished(() => writer.end());
  await writer.query('begin');
  await writer.query("update summaries set arrived = now() + interval '0.9 seconds' where id = $1", [summaries[3]?.id]);
  const deleting = deleteOn(all, [0], { name: 'a', ...everything });
  await eventually(async () => expect(await runSql(url, waiting)).toHaveLength(1));
  await writer.query('commit');
  expect((await deleting).outcomes).toMatchObject([{ deleted: 4, isDone: true }]);
  expect(await runSql(url, 'select id from summaries')).toEqual([{ id: summaries[3]?.id }]);
});

test('a deletion settles half a minute after it was noted, not before it was applied twice', async () => {
  const all = await prepareWarm(1);
  const [url] = all.urls as [URL];
  await deleteOn(all, [0], { name: 'a', ...everything });
  const sync = () =>
    syncDeletions(all.copies, { memory: createDeletionMemory(), mayGoOn: () => true, onFailed: observe });
  const settled = async () =>
    (await runSql(url, 'select settled_at is not null as settled from deletions'))[0]?.settled;
  await sync();
  expect(await settled()).toBe(false);
  await runSql(url, "update deletions set noted_at = now() - interval '31 seconds'");
  await sync();
  expect(await settled()).toBe(false);
  await runSql(url, "update deletions set applied_at = now() - interval '11 seconds'");
  await sync();
  expect(await settled()).toBe(true);
});
