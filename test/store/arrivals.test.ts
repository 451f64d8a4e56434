import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Database } from '../../src/database/database.ts';
import { binsOf, sketchOf } from '../../src/domain/sketch.ts';
import type { Summary } from '../../src/domain/summary.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { summaryOf } from '../support/summaries.ts';

const observe = () => undefined;

/** With a name and a week that are there already. */
async function prepareStore() {
  const url = await freshDatabaseUrl();
  const database = await freshDatabase({ url });
  await createPostgresStore({ database, observe }).write([summaryOf({ id: 'fb9b4c0e-0000-4000-8000-000000000000' })]);
  await runSql(url, 'delete from summaries');
  return { url, database };
}

/** How long ago each summary arrived, in seconds by the clock of the database, the first first. */
async function agesIn(url: URL): Promise<number[]> {
  const text = `select date_part('epoch', clock_timestamp()) - date_part('epoch', arrived) as age from summaries order by id`;
  return (await runSql(url, text)).map(({ age }) => Number(age));
}

const isInsert = ({ text }: { text: string }) => text.includes('insert into summaries');

/** Its inserts pass only when each has been let. */
function holdInserts(database: Database, pass: (insert: number) => Promise<unknown>): Database {
  let inserts = 0;
  return {
    ...database,
    async query(purpose, statement) {
      if (isInsert(statement)) {
        inserts += 1;
        await pass(inserts);
      }
      return database.query(purpose, statement);
    },
  };
}

const rich = { units: 'ms', sketch: sketchOf(binsOf([1, 2, 3])) };

test.each([
  ['at once', 0, {}],
  ['within two seconds', 1_500, {}],
  ['so late that it is sent again', 5_000, {}],
  ['so late that it is sent again, with a sketch', 5_000, rich],
] as const)('a summary has arrived when it was received, its statement %s', async (_, delayMs, more) => {
  const { url, database } = await prepareStore();
  const store = createPostgresStore({
    database: holdInserts(database, (insert) => sleep(insert === 1 ? delayMs : 0)),
    observe,
  });
  const receivedMs = performance.now();
  await store.write([summaryOf(more)]);
  const ages = await agesIn(url);
  const ageSeconds = (performance.now() - receivedMs) / 1_000;
  expect(ages).toHaveLength(1);
  expect(ages[0]).toBeLessThanOrEqual(ageSeconds);
  expect(ages[0]).toBeGreaterThan(ageSeconds - 0.7);
});

test('of summaries that waited for different times, each has its own arrival', async () => {
  const { url, database } = await prepareStore();
  const gate = Promise.withResolvers<void>();
  const store = createPostgresStore({
    database: holdInserts(database, (insert) => (insert === 1 ? gate.promise : Promise.resolve())),
    observe,
  });
  const receivedMs: number[] = [];
  const writes: Promise<unknown>[] = [];
  // The first is under way, and the others wait behind it.
  for (const _ of [1, 2, 3]) {
    receivedMs.push(performance.now());
    writes.push(store.write([summaryOf()]));
    await sleep(700);
  }
  gate.resolve();
  await Promise.all(writes);
  const ages = await agesIn(url);
  const nowMs = performance.now();
  receivedMs.forEach((atMs, index) => {
    expect(Math.abs((ages[index] ?? Number.NaN) - (nowMs - atMs) / 1_000)).toBeLessThan(0.5);
  });
});

test.each([
  ['plain', {}],
  ['with a sketch', rich],
])('a statement that reaches the server long after it was given up stores nothing: %s', async (_, more) => {
  const { url, database } = await prepareStore();
  const sent: Parameters<Database['query']>[] = [];
  const lost: Database = {
    ...database,
    async query(purpose, statement) {
      if (!isInsert(statement)) return database.query(purpose, statement);
      sent.push([purpose, statement]);
      throw new Error('nobody knows what became of it');
    },
  };
  await expect(createPostgresStore({ database: lost, observe }).write([summaryOf(more)])).rejects.toThrow();
  await sleep(3_500);
  for (const [purpose, statement] of sent) await database.query(purpose, statement);
  expect(sent).toHaveLength(1);
  expect(await agesIn(url)).toEqual([]);
});

const count = 'select sum(summaries)::int as summaries from digests';

test('what is sent again counts as received again, but not what comes twice within moments', async () => {
  const { url, database } = await prepareStore();
  const store = createPostgresStore({ database, observe });
  const summaries: Summary[] = [summaryOf(), summaryOf(rich)];
  await store.write(summaries);
  const arrivals = () => runSql(url, 'select id, arrived from summaries order by id');
  const first = await arrivals();
  await store.write(summaries);
  expect(await arrivals()).toEqual(first);

  await runSql(url, "update summaries set arrived = arrived - interval '10 seconds'");
  // One of them twice, and one that is new.
  await store.write([...summaries, ...summaries.slice(0, 1), summaryOf()]);
  const ages = await agesIn(url);
  expect(ages).toHaveLength(3);
  expect(Math.max(...ages)).toBeLessThan(5);
  expect(await runSql(url, count)).toEqual([{ summaries: 3 }]);
});

test('what is sent again has arrived now, where the clock was set back since it came first', async () => {
  const { url, database } = await prepareStore();
  const store = createPostgresStore({ database, observe });
  const summary = summaryOf();
  await store.write([summary]);
  await runSql(url, "update summaries set arrived = now() + interval '1 hour'");
  await store.write([summary]);
  expect(Math.abs((await agesIn(url))[0] ?? Number.NaN)).toBeLessThan(5);
});

test('of what a version stores that knows no arrivals, they are the time of its statement', async () => {
  const { url, database } = await prepareStore();
  await runSql(
    url,
    'insert into summaries select id, now(), gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1 from series limit 1',
  );
  expect((await agesIn(url))[0]).toBeLessThan(5);
  // Also in a week that is made since.
  await createPostgresStore({ database, observe }).write([summaryOf({ bucket: Date.now() / 1_000 - 70 * 86_400 })]);
  const columns = `select column_default from information_schema.columns where column_name = 'arrived' and table_name like 'summaries%'`;
  expect(new Set((await runSql(url, columns)).map((row) => row.column_default))).toEqual(new Set(['now()']));
});
