import { expect, test, vi } from 'vitest';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { point, read, statusOf, write } from '../support/service-client.ts';
import { eventually, startService } from '../support/service-process.ts';

vi.setConfig({ testTimeout: 120_000 });

/** The service gives a database a tenth less, so that it is the database that says what was too much. */
const readTimeoutMs = 2_500;

/** What is beyond the timeout is for the network and a machine that others use as well. */
const marginMs = 500;

/** Long, alike and beyond ASCII: what makes patterns slow. */
const insertNames = `
  insert into series (name)
  select case i % 4 when 0 then repeat('a', 20 + i % 200) || i when 1 then 'app.web.' || md5(i::text) || repeat('.ab', i % 60)
    when 2 then 'ü.' || md5(i::text) else repeat('xyz.', i % 50) || i end
  from generate_series(1, 200000) as i`;

/** Each takes exponential time, much memory, or long on many names somewhere, if not here. */
const patterns = [
  '(a+)+$',
  '(.*a){20}',
  '.*.*.*.*.*.*.*.*.*.*x$',
  '((a{1,50}){1,50}){1,2}',
  '((.?){60}){60}',
  '(?=.*a)(?=.*b)(?=.*c)(?!.*d).*e',
  `(?i)${'(é|ü)*'.repeat(30)}`,
  `${'('.repeat(120)}${')'.repeat(120)}`,
  '\\w{250}',
  'a.{0,100}b.{0,100}c.{0,100}d',
];

/** Statements of the service that are being executed there, but for those that watch. */
const running = (url: URL) =>
  runSql(
    url,
    `select query from pg_stat_activity
     where datname = current_database() and application_name = 'm2pg' and state = 'active' and query ~ 'series'`,
  );

test('a hostile pattern on 200,000 names is answered in time, runs on in no database, and keeps no write waiting', async () => {
  const url = await freshDatabaseUrl();
  await runSql(url, insertNames);
  await runSql(url, 'analyze series');
  const service = await startService({
    env: { DATABASE_URLS: url.href, READ_TIMEOUT_MS: String(readTimeoutMs) },
  });
  // So that what is found is more than nothing: a name of each kind.
  const names = await runSql(url, 'select name from series where id between 1000 and 1003');
  expect(
    (
      await write(
        service,
        names.map(({ name }) => point(String(name))),
      )
    ).status,
  ).toBe(201);

  const seen = new Set<number>();
  for (const name of patterns) {
    const reading = read(service, { name });
    expect(await write(service, point('meanwhile'))).toMatchObject({ status: 201 });
    const { status, durationMs } = await reading;
    expect({ name, status }).toEqual({ name, status: expect.toSatisfy((code) => code === 200 || code === 422) });
    expect({ name, durationMs }).toEqual({ name, durationMs: expect.toSatisfy((ms) => ms < readTimeoutMs + marginMs) });
    await eventually(async () => expect(await running(url)).toEqual([]), readTimeoutMs + marginMs - durationMs);
    seen.add(status);
  }
  // Some are too much, and some are not.
  expect([...seen].toSorted()).toEqual([200, 422]);
  expect(await statusOf(service, '/-/ready')).toBe(200);
  expect(await read(service, { name: 'meanwhile' })).toMatchObject({ status: 200, count: patterns.length });
});
