import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { v7 } from 'uuid';
import { expect, test } from 'vitest';
import { createDeletionMemory } from '../../src/database/deletion-memory.ts';
import { rollUpOnce } from '../../src/database/roll-up.ts';
import { findWrongTallies } from '../../src/repair/compare-tallies.ts';
import { createCopy } from '../../src/repair/copy.ts';
import { syncDeletions } from '../../src/repair/deletions.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { namesIn } from '../support/deleting.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { minutes, monday, mondayText, packAll } from '../support/packing.ts';

const migrations = join(import.meta.dirname, '../../migrations');

const now = Date.now() / 1_000;

/** A database as the version before left it. */
async function createOldDatabase(): Promise<URL> {
  const url = await freshDatabaseUrl({ isMigrated: false });
  await runSql(
    url,
    'create table m2pg_migrations (id serial primary key, name text not null, run_on timestamp not null)',
  );
  for (const file of readdirSync(migrations).toSorted().slice(0, 12)) {
    await runSql(url, readFileSync(join(migrations, file), 'utf8'));
    await runSql(url, 'insert into m2pg_migrations (name, run_on) values ($1, now())', [file.replace('.sql', '')]);
  }
  await runSql(url, "select create_summaries_week($1), create_summaries_week(date_trunc('week', now())::date)", [
    mondayText,
  ]);
  return url;
}

/** So many minutes of a name, with ids of version 7 that were made so long after a deletion, or with ids that do not tell. */
async function insert(url: URL, name: string, count: number, bucket: number, madeAfter?: number): Promise<void> {
  await runSql(url, 'insert into series (name) values ($1) on conflict do nothing', [name]);
  for (let index = 0; index < count; index += 1) {
    const id = madeAfter === undefined ? randomUUID() : v7({ msecs: Math.round((now + madeAfter) * 1_000) });
    await runSql(
      url,
      'insert into summaries select id, to_timestamp($2::float8), $3::uuid, 1, 1, 1, 1, 1, 1, 1, 1 from series where name = $1',
      [name, bucket + index * 60, id],
    );
  }
}

/** As that version noted one: by the clock of a service. */
const note = (url: URL, name: string, more = '') =>
  runSql(
    url,
    `insert into deletions (id, name, earliest, latest, deleted_at, ${more === '' ? '' : `${more}, `} settled_at)
     values (gen_random_uuid(), $1, to_timestamp(0), to_timestamp(4e9), to_timestamp($2::float8), ${more === '' ? '' : 'now(), '} null)`,
    [name, now],
  );

test.each([
  ['live', false],
  ['packed', true],
])('takes over a database of the version before, %s and rolled up, with deletions under way', async (_, isPacked) => {
  const url = await createOldDatabase();
  for (const name of ['kept', 'waiting', 'applied']) {
    await insert(url, name, 10, monday, -3_600);
    await insert(url, name, 5, monday + 6_000, 3_600);
    await insert(url, name, 7, monday + 12_000);
    await insert(url, name, 1, Math.floor(now / 60) * 60, -3_600);
  }
  for (let done = false; !done; ) {
    const [step] = await runSql(url, "select roll_up(date_trunc('hour', now()), 1000) as merged");
    done = step?.merged === 0;
  }
  if (isPacked) await packAll(url);
  await note(url, 'waiting');
  await note(url, 'applied', 'applied_at');

  const database = await freshDatabase({ url });
  const observe = () => undefined;
  const copies = [createCopy({ database, observe })];
  const store = createPostgresStore({ database, observe });
  // Some of it again, and something new.
  const recent = minutes(3).map((summary) => ({ ...summary, name: 'waiting' }));
  await store.write(recent);
  await syncDeletions(copies, { memory: createDeletionMemory(), mayGoOn: () => true, onFailed: observe });
  // By the rule of that version: ids of version 7 tell, others are covered until the deletion was applied.
  expect(await namesIn(url)).toEqual(['applied 12', 'kept 23', 'waiting 11']);
  await rollUpOnce({ databases: [database], observe });
  const slice = { from: monday, until: monday + 7 * 86_400 };
  expect(await findWrongTallies(slice, copies)).toEqual([]);
});
