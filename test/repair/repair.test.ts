import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import { repairForever } from '../../src/repair/repair-forever.ts';
import type { PostgresStore } from '../../src/store/postgres-store.ts';
import { type Copies, prepareCopies, setReadOnly } from '../support/copies.ts';
import { runSql } from '../support/fresh-database.ts';
import { bitsOf, day, minutes, monday, packAll, week } from '../support/packing.ts';
import { eventually } from '../support/service-process.ts';
import { anySummary, summaryOf } from '../support/summaries.ts';

const bitsOfAll = ({ urls }: Copies) => Promise.all(urls.map(bitsOf));

async function expectAllToHold(copies: Copies, count: number): Promise<void> {
  const [first, ...others] = await bitsOfAll(copies);
  expect(first).toHaveLength(count);
  for (const other of others) expect(other).toEqual(first);
}

const ofType = ({ observations }: Copies, type: string) => observations.filter((one) => one.type === type);

test('copies what each database lacks from whichever holds it, in all directions', async () => {
  const now = Math.floor(Date.now() / 1000);
  const all = await prepareCopies(3);
  const summaries = fc.sample(anySummary(now), { numRuns: 300, seed: 1 });
  const old = minutes(200);
  await Promise.all(
    all.copies.map(({ store }, database) =>
      store.write([...summaries, ...old].filter((_, index) => index % 7 === database || index % 3 === database)),
    ),
  );
  // Everything is somewhere.
  await all.copies[0]?.store.write([...summaries, ...old].filter((_, index) => index % 5 === 0));
  const held = new Set((await bitsOfAll(all)).flat());
  await all.repair();
  await expectAllToHold(all, held.size);
});

test('touches nothing when nothing differs', async () => {
  const all = await prepareCopies(2);
  const summaries = minutes(100);
  for (const { store } of all.copies) await store.write(summaries);
  expect(await all.repair()).toEqual([{ differing: 0, missing: {}, hasFailed: false, untried: [] }]);
  expect(ofType(all, 'repaired')).toEqual([]);
});

test('leaves alone what differs since a moment only: it may be a write on its way', async () => {
  const all = await prepareCopies(2);
  await all.copies[0]?.store.write([summaryOf()]);
  const [first] = await all.repair();
  expect(first).toMatchObject({ differing: 1, missing: {} });
  await expectAllToHold(all, 1);
});

test('copies what is ahead of now, as far as a service takes it whose clock is an hour ahead', async () => {
  const all = await prepareCopies(2);
  const now = Math.floor(Date.now() / 1000);
  const ahead = [60, 1_800, 3_600, 7_199].map((seconds) => summaryOf({ bucket: now + seconds }));
  await all.copies[0]?.store.write(ahead);
  await all.repair({ now: () => now });
  await expectAllToHold(all, ahead.length);
});

test('fills a database that is new, with weeks that are packed in the others', async () => {
  const all = await prepareCopies(3);
  const summaries = minutes(100);
  const [a, b] = all.copies;
  await a?.store.write(summaries);
  await b?.store.write(summaries);
  await rollUpOnce({ databases: all.databases, observe: () => undefined });
  await packAll(all.urls[0] as URL);
  await all.repair();
  await expectAllToHold(all, summaries.length);
});

test('adds to a packed week what it lacks, once', async () => {
  const all = await prepareCopies(2);
  const [a, b] = all.copies;
  const summaries = minutes(100);
  await a?.store.write(summaries);
  await b?.store.write(summaries.filter((_, index) => index % 9 !== 0));
  await rollUpOnce({ databases: all.databases, observe: () => undefined });
  await packAll(all.urls[1] as URL);
  await all.repair();
  await expectAllToHold(all, summaries.length);
});

test('reads one series with more summaries in an hour than fit into a batch', async () => {
  const all = await prepareCopies(2);
  const [a, b] = all.copies;
  const many = Array.from({ length: 25_000 }, (_, index) => summaryOf({ bucket: monday + index / 100 }));
  await a?.store.write(many);
  await b?.store.write(many.slice(0, 100));
  await all.repair();
  await expectAllToHold(all, many.length);
});

test('is at work for at most a third of the time, in transactions of at most 2,000 summaries', async () => {
  const all = await prepareCopies(2);
  await all.copies[0]?.store.write(
    Array.from({ length: 20_000 }, (_, index) => summaryOf({ bucket: monday + index / 100 })),
  );
  const sizes: number[] = [];
  /** Some of them at once. */
  const work: { begunMs: number; endMs: number }[] = [];
  const timed = async <Value>(statement: () => Promise<Value>) => {
    const begunMs = performance.now();
    const value = await statement();
    work.push({ begunMs, endMs: performance.now() });
    return value;
  };
  const copies = all.copies.map(({ store, ...copy }) => {
    const selectHeld: PostgresStore['selectHeld'] = (spans) => timed(() => store.selectHeld(spans));
    const copyAll: PostgresStore['copy'] = (summaries, judged) => {
      sizes.push(summaries.length);
      return timed(() => store.copy(summaries, judged));
    };
    return { ...copy, store: { ...store, selectHeld, copy: copyAll } };
  });
  await all.repair({ copies });
  await expectAllToHold(all, 20_000);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(2_000);
  const inOrder = work.toSorted((a, b) => a.begunMs - b.begunMs);
  // Up to the begin of the last batch, which is two reads and a write: after that nobody looks.
  const [firstMs = 0, untilMs = 0] = [inOrder[0]?.begunMs, inOrder.at(-3)?.begunMs];
  let [idleMs, lastMs] = [0, firstMs];
  for (const { begunMs, endMs } of inOrder.slice(0, -2)) {
    idleMs += Math.max(0, begunMs - lastMs);
    lastMs = Math.max(lastMs, endMs);
  }
  expect(idleMs / (untilMs - firstMs)).toBeGreaterThan(0.6);
});

test('stays within names and hours when it is told to', async () => {
  const all = await prepareCopies(2);
  await all.copies[0]?.store.write(minutes(180));
  await all.repair({ namePattern: '^a$', range: { from: monday + 3_600, until: monday + 7_200 } });
  const copied = await runSql(
    all.urls[1] as URL,
    'select distinct name, date_trunc($1, bucket) as hour from summaries join series on series_id = series.id',
    ['hour'],
  );
  expect(copied).toEqual([{ name: 'a', hour: new Date((monday + 3_600) * 1000) }]);
});

test('tells what it would copy, and copies nothing, when it is only to look', async () => {
  const all = await prepareCopies(2);
  await all.copies[0]?.store.write(minutes(10));
  const passes = await all.repair({ isDryRun: true });
  expect(passes.at(-1)?.missing).toEqual({ db2: 20 });
  expect(await bitsOf(all.urls[1] as URL)).toEqual([]);
});

test('does not bring back what is past the retention', async () => {
  const all = await prepareCopies(2);
  await all.copies[0]?.store.write(minutes(100));
  const passes = await all.repair({ retentionSeconds: week });
  expect(passes).toEqual([{ differing: 0, missing: {}, hasFailed: false, untried: [] }]);
  expect(await bitsOf(all.urls[1] as URL)).toEqual([]);
});

test('copies whatever can still be read, up to the hour in which the retention ends', async () => {
  const all = await prepareCopies(2);
  await all.copies[0]?.store.write(minutes(180));
  const options = { retentionSeconds: day, now: () => monday + day + 5_400 };
  await all.repair(options);
  const copied = await runSql(
    all.urls[1] as URL,
    'select min(bucket) as oldest, count(*)::int as count from summaries',
  );
  expect(copied).toEqual([{ oldest: new Date((monday + 3_600) * 1000), count: 240 }]);
  expect((await all.repair(options)).at(-1)).toMatchObject({ differing: 0 });
});

test('copies what is ahead of time, however far: the clock of some service was', async () => {
  const all = await prepareCopies(2);
  await all.copies[0]?.store.write(
    [0.5, 50, 24 * 60, 400 * 24 * 60].map((ahead) => summaryOf({ bucket: Date.now() / 1000 + ahead * 60 })),
  );
  await all.repair();
  await expectAllToHold(all, 4);
});

test('repairs as far back as any service keeps, by the clock that is furthest behind', async () => {
  const all = await prepareCopies(2);
  await all.copies[0]?.store.write(minutes(10));
  await all.repair({ retentionSeconds: 52 * week, now: () => Date.now() / 1000 + 400 * day });
  await expectAllToHold(all, 20);
  await all.copies[1]?.store.write(minutes(5, 3_600));
  for (const url of all.urls) await runSql(url, "select use_settings('{retention_seconds}', $1)", [[20 * week]]);
  await eventually(() => expect(all.databases[0]?.notes()?.settings).toHaveLength(1));
  await all.repair({ retentionSeconds: week });
  await expectAllToHold(all, 30);
});

test('repairs the others while one database takes no copies, and tells which', async () => {
  const all = await prepareCopies(3);
  const [, b, c] = all.urls as [URL, URL, URL];
  await all.copies[0]?.store.write(minutes(10));
  await runSql(
    b,
    'create function refuse() returns trigger language plpgsql as $$ begin raise sqlstate $s$53100$s$; end $$',
  );
  await runSql(b, 'create trigger refuse before insert on summaries for each row execute function refuse()');
  const passes = await all.repair();
  expect(passes.at(-1)?.hasFailed).toBe(true);
  expect(await bitsOf(c)).toHaveLength(20);
  expect(ofType(all, 'repair_failed')).toMatchObject([{ database: 'db2', failure: { code: 'disk_full' } }]);
});

test('copies from a database that takes no writes, whatever its identity, and to it when it takes them', async () => {
  const all = await prepareCopies(3);
  const [a, b, c] = all.urls as [URL, URL, URL];
  await runSql(a, "update database_identity set id = '00000000-0000-4000-8000-000000000000'");
  await all.copies[0]?.store.write(minutes(10));
  await all.copies[1]?.store.write(minutes(10));
  await setReadOnly(all, 0, true);
  const stopping = new AbortController();
  const { databases, observe } = all;
  const options = { databases, observe, retentionSeconds: undefined, now: () => Date.now() / 1000 };
  const running = repairForever(options, stopping.signal);
  await eventually(async () => {
    for (const url of [b, c]) expect(await bitsOf(url)).toHaveLength(40);
  }, 30_000);
  expect(ofType(all, 'repair_failed')).toEqual([]);
  expect(await bitsOf(a)).toHaveLength(20);

  await setReadOnly(all, 0, false);
  await eventually(() => expectAllToHold(all, 40), 30_000);
  stopping.abort();
  await running;
}, 90_000);

test('counts digests anew that are wrong', async () => {
  const all = await prepareCopies(2);
  const summaries = minutes(100);
  for (const { store } of all.copies) await store.write(summaries);
  for (const url of all.urls) await runSql(url, "update rollup_state set closed_to = now() - interval '1 day'");
  await runSql(all.urls[1] as URL, 'update digests set summaries = summaries + 1 where slice = to_timestamp($1)', [
    monday,
  ]);
  const passes = await all.repair();
  expect(passes.at(-1)).toMatchObject({ missing: {} });
  expect(ofType(all, 'recounted').length).toBeGreaterThan(0);
}, 30_000);

test('makes any databases equal, whatever each of them lacks', { timeout: 60_000 }, async () => {
  const now = Math.floor(Date.now() / 1000);
  const all = await prepareCopies(3);
  const lots = fc.array(fc.tuple(anySummary(now), fc.subarray([0, 1, 2], { minLength: 1 })), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(lots, async (placed) => {
      for (const url of all.urls) await runSql(url, 'truncate summaries');
      await Promise.all(
        all.copies.map(({ store }, database) =>
          store.write(placed.filter(([, where]) => where.includes(database)).map(([summary]) => summary)),
        ),
      );
      await all.repair();
      await expectAllToHold(all, placed.length);
    }),
    { numRuns: 20 },
  );
});
