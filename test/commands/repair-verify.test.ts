import { expect, test, vi } from 'vitest';
import { repairOnce } from '../../src/commands/repair.ts';
import { readConfig } from '../../src/config.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { minutes, mondayText } from '../support/packing.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: 90_000 });

const unreachable = 'postgres://nobody@127.0.0.1:9/none';

/** Two databases, the first of which alone holds 40 summaries. */
async function prepareUnequal() {
  const urls = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
  const [a] = urls as [URL, URL];
  const database = await freshDatabase({ url: a });
  await createPostgresStore({ database, observe: () => undefined }).write(minutes(20));
  return { urls: urls as [URL, URL], run: (...args: string[]) => runToEnd(args, urls) };
}

test('a dry run tells what is missing, repair copies it, and then nothing is missing', async () => {
  const { run } = await prepareUnequal();
  expect(await run('repair', '--dry-run')).toMatchObject({ code: 1, stdout: 'db2 lacks 40 summaries\n' });
  expect(await run('repair')).toMatchObject({ code: 0, stdout: 'db2 got 40 summaries\n' });
  expect(await run('repair')).toMatchObject({ code: 0, stdout: 'nothing is missing\n' });
});

test('verify tells what is missing and what differs, and says when all agree', async () => {
  const { run, urls } = await prepareUnequal();
  const unequal = await run('verify');
  expect(unequal.code).toBe(1);
  expect(unequal.stdout).toContain(`${mondayText}T00:00Z  db1 holds 40, db2 holds 0`);
  expect(unequal.stdout).toMatch(/of a is missing in db2\n/);
  expect(unequal.stdout).toContain('verified 40 summaries of 1 hours in 2 databases: 40 missing');
  await run('repair');
  expect(await run('verify')).toMatchObject({
    code: 0,
    stdout: 'verified 40 summaries of 1 hours in 2 databases: they agree\n',
  });
  await runSql(
    urls[1],
    "update summaries set max = max + 1 where series_id = (select id from series where name = 'a')",
  );
  expect((await run('verify', '--match', '^b$')).code).toBe(0);
  const changed = await run('verify');
  expect(changed.code).toBe(1);
  expect(changed.stdout).toMatch(/ of a differs: max is 0 in db1, 1 in db2\n/);
});

test('a database that cannot be reached is told, and the exit code is 1', async () => {
  const url = await freshDatabaseUrl();
  for (const command of ['repair', 'verify']) {
    const { code, stderr } = await runToEnd([command], [url, new URL(unreachable)]);
    expect(code).toBe(1);
    expect(stderr).toContain('db2 is left out: it cannot be reached');
  }
});

test('what is wrong with the options is told before any database is asked', async () => {
  const config = readConfig({ DATABASE_URLS: unreachable });
  await expect(repairOnce(config, ['--match', '(a)\\1'])).rejects.toThrow('--match: ');
  await expect(repairOnce(config, ['--from', 'soon'])).rejects.toThrow('--from: expected');
  await expect(repairOnce(config, ['--from', 'now', '--to=-1h'])).rejects.toThrow('--from: is later than --to');
  await expect(repairOnce(config, ['everything'])).rejects.toThrow('unexpected argument everything');
});
