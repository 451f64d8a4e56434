import { expect, test, vi } from 'vitest';
import { noteSettings } from '../../src/database/notes.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { week } from '../support/packing.ts';
import { summaryOf } from '../support/summaries.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: 90_000 });

/** Two databases with a summary in each of the last 20 weeks. */
async function prepare() {
  const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
  const summaries = Array.from({ length: 20 }, (_, ago) => summaryOf({ bucket: Date.now() / 1000 - ago * week }));
  const databases = await Promise.all(urls.map((url, index) => freshDatabase({ url, name: `db${index + 1}` })));
  for (const database of databases) {
    await createPostgresStore({ database, observe: () => undefined }).write(summaries);
  }
  const held = async () => {
    const counts = await Promise.all(urls.map((url) => runSql(url, 'select count(*)::int as held from summaries')));
    return counts.map(([row]) => row?.held);
  };
  const env = { RETENTION: '10w' };
  return { urls, held, run: (...args: string[]) => runToEnd(['gc', ...args], urls, { env }) };
}

test('gc --drop drops all weeks past RETENTION from all databases, and tells before what it would do', async () => {
  const { held, run } = await prepare();
  const nine =
    /^db1 would drop 9 weeks, \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d: 9 summaries\ndb2 would drop 9 weeks, .*\n$/;
  expect(await run('--drop', '--dry-run')).toMatchObject({ code: 0, stdout: expect.stringMatching(nine), stderr: '' });
  expect(await held()).toEqual([20, 20]);
  const dropped = expect.stringMatching(/^db1 dropped 9 weeks, .*\ndb2 dropped 9 weeks, .*: 9 summaries\n$/);
  expect(await run('--drop')).toMatchObject({ code: 0, stdout: dropped, stderr: '' });
  expect(await held()).toEqual([11, 11]);
  expect(await run('--drop')).toMatchObject({ code: 0, stdout: 'db1 dropped nothing\ndb2 dropped nothing\n' });
});

test('gc --drop drops nothing that a service keeps which is there, and what one kept that has gone', async () => {
  const { urls, held, run } = await prepare();
  const { settings } = { settings: { retention_seconds: 15 * week } };
  for (const url of urls) {
    await noteSettings(async (text, values) => ({ rows: await runSql(url, text, values) }), settings);
  }
  const told = 'a service of these databases keeps summaries for 105 days, or did within the last minute\n';
  expect(await run('--drop')).toMatchObject({ code: 1, stderr: told });
  expect(await held()).toEqual([16, 16]);
  for (const url of urls) await runSql(url, `update settings_in_use set used_at = now() - interval '2 minutes'`);
  expect(await run('--drop')).toMatchObject({ code: 0, stderr: '' });
  expect(await held()).toEqual([11, 11]);
  // Else services would go on to keep, and to repair, what is gone.
  const kept = urls.map((url) => runSql(url, `select value from settings_in_use where setting = 'retention_seconds'`));
  expect((await Promise.all(kept)).flat()).toEqual([]);
});

test('gc --drop drops nothing while a database is away, which would bring it back', async () => {
  const { urls, held } = await prepare();
  const some = [urls[0], new URL('postgres://nobody@127.0.0.1:9/none')];
  const { code, stderr } = await runToEnd(['gc', '--drop'], some, { env: { RETENTION: '10w' } });
  expect([code, stderr]).toEqual([1, expect.stringContaining('nothing is dropped: db2 is left out')]);
  expect(await held()).toEqual([20, 20]);
});

test.each([
  [['--drop'], {}, 'RETENTION: is not set', 1],
  [['--dry-run'], { RETENTION: '10w' }, '--dry-run goes with --drop', 2],
  [['weeks'], {}, 'unexpected argument weeks', 2],
])('gc %j with %j says what is wrong', async (args, env, problem, exitCode) => {
  const { code, stderr } = await runToEnd(['gc', ...args], [new URL('postgres://nobody@127.0.0.1:9/none')], { env });
  expect([code, stderr]).toEqual([exitCode, expect.stringContaining(problem)]);
});

test('gc --help tells of all of it', async () => {
  const { code, stdout } = await runToEnd(['gc', '--help'], []);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^usage: m2pg gc \[--drop \[--dry-run\]\]/)]);
});
