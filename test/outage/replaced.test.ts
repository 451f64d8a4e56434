import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, onTestFinished, test, vi } from 'vitest';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { expectUndisturbed } from '../support/load.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { read, statesOf, write } from '../support/service-client.ts';
import { eventually, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

const nameOf = (url: URL) => url.pathname.slice(1);
const onServer = (text: string) => runSql(new URL(inject('postgresUrl')), text);

/** Puts another database behind a URL; who is connected to the one that was there is thrown out. */
async function replace(url: URL, template = 'template1'): Promise<void> {
  await onServer(`drop database ${nameOf(url)} with (force)`);
  await onServer(`create database ${nameOf(url)} template ${template}`);
}

const migrations = join(import.meta.dirname, '../../migrations');

/** What a dump of a database would have held long ago: the first migrations, and one summary. */
async function createOldBackup(of: URL): Promise<string> {
  const backup = new URL(of);
  backup.pathname = `${of.pathname}_backup`;
  await onServer(`create database ${nameOf(backup)}`);
  onTestFinished(() => onServer(`drop database ${nameOf(backup)}`).then(() => undefined));
  await runSql(
    backup,
    'create table m2pg_migrations (id serial primary key, name text not null, run_on timestamp not null)',
  );
  for (const file of readdirSync(migrations).toSorted().slice(0, 4)) {
    await runSql(backup, readFileSync(join(migrations, file), 'utf8'));
    await runSql(backup, 'insert into m2pg_migrations (name, run_on) values ($1, now())', [file.replace('.sql', '')]);
  }
  const [identity] = await runSql(of, 'select id from database_identity');
  await runSql(backup, 'update database_identity set id = $1', [identity?.id]);
  await runSql(
    backup,
    `with named as (insert into series (name) values ('backed up') returning id),
       made as (select create_summaries_week(date_trunc('week', now() at time zone 'UTC')::date))
     select * from named, made`,
  );
  await runSql(backup, 'insert into summaries select id, now(), gen_random_uuid(), 1, 1, 1, 1, 1, 1, 1, 1 from series');
  return nameOf(backup);
}

const ways: Record<string, (url: URL) => Promise<() => Promise<unknown>>> = {
  'whose table is dropped': async (url) => () => runSql(url, 'drop table summaries cascade'),
  'that is replaced by an empty one': async (url) => () => replace(url),
  async 'that is restored from an old backup'(url) {
    const backup = await createOldBackup(url);
    return () => replace(url, backup);
  },
};

test.each(Object.keys(ways))('a database %s under load is migrated, and filled by the others', async (way) => {
  const urls = (await Promise.all([1, 2, 3].map(() => freshDatabaseUrl()))) as [URL, URL, URL];
  const breakIt = await ways[way]?.(urls[1]);
  const service = await startService({ env: databaseUrls(urls) });
  const { ids } = await write(service, { name: 'old', bucket: Date.now() / 1_000 - 600, value: 1 });
  await untilEqual(urls, ids);

  const answers = await expectUndisturbed(service, async () => breakIt?.());
  const written = [...ids, ...answers.all.flatMap((answer) => answer.ids)];
  // Whatever it lacks, the others have; the backup holds one that they have not.
  const { status, count } = await read(service, {});
  expect(status).toBe(200);
  expect(count).toBeGreaterThanOrEqual(written.length);
  await eventually(() => expect(service.output()).toMatch(/db2 migrated/));
  await untilEqual(urls, written);
  await eventually(async () => {
    expect(await statesOf(service)).toEqual(['up', 'up', 'up']);
    const all = written.length + (way.endsWith('backup') ? 1 : 0);
    expect(await read(service, {})).toMatchObject({ count: all, complete: 'true' });
  });
});
