import { expect, test } from 'vitest';
import type { Observation } from '../../src/domain/observation.ts';
import type { Store } from '../../src/domain/store.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { eventually } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

const readAll = (store: Store) => store.select({ namePattern: undefined, from: 0, to: 4e9 });

/** A store in use: its names, its week, its connections and its prepared statements are there. */
async function usedStore() {
  const url = await freshDatabaseUrl();
  const observations: Observation[] = [];
  const observe = (observation: Observation) => observations.push(observation);
  const database = await freshDatabase({ url, observe });
  const store = createPostgresStore({ database, observe });
  await store.write([summaryOf({ name: 'before' })]);
  return { url, store, database, observations };
}

test('takes writes at once after its dictionary was truncated', async () => {
  const { url, store } = await usedStore();
  await runSql(url, 'truncate series');
  const summary = summaryOf({ name: 'before' });
  await store.write([summary]);
  expect((await readAll(store)).summaries).toEqual([summary]);
});

test('takes writes at once after a week was dropped', async () => {
  const { url, store } = await usedStore();
  await runSql(
    url,
    `do $$ declare week regclass; begin
       for week in select inhrelid from pg_inherits where inhparent = 'summaries'::regclass
       loop execute format('drop table %s', week); end loop; end $$`,
  );
  const summary = summaryOf();
  await store.write([summary]);
  expect((await readAll(store)).summaries).toEqual([summary]);
});

test.each([
  ['its summaries', 'drop table summaries cascade'],
  ['its dictionary', 'drop table series cascade'],
  ['its identity', 'drop table database_identity; drop table summaries'],
  ['its functions', 'drop function create_summaries_week; drop table summaries cascade'],
  ['all of its tables', 'drop table summaries, series, database_identity, m2pg_migrations cascade'],
  ['its whole schema', 'drop schema public cascade; create schema public'],
])('is migrated and takes writes again after somebody dropped %s', async (_, sql) => {
  const { url, store, database, observations } = await usedStore();
  await runSql(url, sql);
  const summary = summaryOf({ name: 'after' });
  await eventually(() => store.write([summary]));
  expect((await readAll(store)).summaries).toEqual([summary]);
  // Told a moment after the tables are there.
  await eventually(() => expect(observations.some(({ type }) => type === 'migrated')).toBe(true));
  expect(database.status().state).toBe('up');
});

test('gives no new name the summaries that an old one left behind', async () => {
  const { url, store } = await usedStore();
  await runSql(url, 'drop table series cascade');
  const summary = summaryOf({ name: 'after' });
  await eventually(() => store.write([summary]));
  expect((await readAll(store)).summaries).toEqual([summary]);
});
