import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, statesOf, statusOf, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

/** Of a trigger, of a row, and of a pattern. */
const sqlstates = ['P0001', '23514', '2201B'];

const raise = (sqlstate: string, kind: string, name = 'refuse') =>
  `create function ${name}() returns ${kind} language plpgsql as
     $$begin raise exception 'not here' using errcode = '${sqlstate}'; end$$`;

/** As an operator who allows no such command. */
const forbid = (command: string, sqlstate = 'P0001') =>
  `${raise(sqlstate, 'event_trigger')};
   create event trigger refuse on ddl_command_start when tag in ('${command}') execute function refuse()`;

/** Every login of ours is refused. */
const forbidLogins = `create function refuse() returns event_trigger language plpgsql as
     $$begin if current_setting('application_name') = 'm2pg' then raise exception 'not here'; end if; end$$;
   create event trigger refuse on login execute function refuse()`;

interface GroundOptions {
  readonly isMigrated: boolean;
  /** SQL by which the database of that place is spoilt. */
  readonly spoil: readonly (string | undefined)[];
  readonly writeAcks?: number;
}

async function startGround({ isMigrated, spoil, writeAcks = 1 }: GroundOptions) {
  const urls = await Promise.all(spoil.map(() => freshDatabaseUrl({ isMigrated })));
  const env = { ...databaseUrls(urls), WRITE_ACKS: String(writeAcks), WRITE_TIMEOUT_MS: '1000' };
  const spoilAll = () => Promise.all(urls.map((url, index) => spoil[index] && runSql(url, spoil[index])));
  if (!isMigrated) await spoilAll();
  const service = await startService({ env });
  if (isMigrated) {
    await eventually(async () => expect(await statesOf(service)).toEqual(urls.map(() => 'up')));
    expect((await write(service, point('known'))).status).toBe(201);
    await spoilAll();
  }
  return { service, urls };
}

const line = (name: string) => `<13>1 ${new Date().toISOString()} host app web.1 - measure#${name}=4ms\n`;

/** Sends the same by every door. What each answers. */
async function answersOf(service: Service, name: string, fields: object = {}) {
  const summary = JSON.stringify({ ...point(name), ...fields });
  const requests: [string, string, Record<string, string>?][] = [
    ['/metrics', summary],
    ['/metrics', `[${summary}]`],
    ['/metrics', `${summary}\n`, { 'Content-Type': 'application/x-ndjson' }],
    ...(Object.keys(fields).length > 0 ? [] : ([['/logs', line(name)]] as [string, string][])),
  ];
  const responses = await Promise.all(
    requests.map(([path, body, headers]) =>
      fetch(`${service.url}${path}`, { method: 'POST', body, headers: headers ?? {} }),
    ),
  );
  return responses.map(({ status, headers }) => ({ status, retryAfter: headers.get('Retry-After') }));
}

async function expectUnavailable(service: Service, name: string, fields: object = {}): Promise<void> {
  const answers = await answersOf(service, name, fields);
  expect(answers).toEqual(answers.map(() => ({ status: 503, retryAfter: '2' })));
}

async function countIn(url: URL): Promise<unknown> {
  return (await runSql(url, 'select count(*)::int as count from summaries'))[0]?.count;
}

describe('a database that cannot be prepared says nothing about summaries', () => {
  test.each(sqlstates)('when an event trigger raises %s in both of them', async (sqlstate) => {
    const { service } = await startGround({
      isMigrated: false,
      spoil: [forbid('CREATE FUNCTION', sqlstate), forbid('CREATE FUNCTION', sqlstate)],
    });
    expect(await statusOf(service, '/-/ready')).toBe(503);
    await expectUnavailable(service, 'a');
    expect((await read(service, { name: 'a' })).status).toBe(503);
  });

  test('and is told of once, as an error, with what the server said', async () => {
    const { service } = await startGround({ isMigrated: false, spoil: [forbid('CREATE FUNCTION'), undefined] });
    await eventually(async () => expect(await statesOf(service)).toEqual(['down', 'up']));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const lines = service
      .output()
      .split('\n')
      .filter((one) => one.includes('db1 is left out'));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'error',
      code: 'preparation_failed',
      reason: 'not here',
    });
  });

  test.each(['P0001', '23514'])('when one of them raises %s and WRITE_ACKS is 2', async (sqlstate) => {
    const { service, urls } = await startGround({
      isMigrated: false,
      spoil: [forbid('CREATE FUNCTION', sqlstate), undefined],
      writeAcks: 2,
    });
    await eventually(async () => expect(await statesOf(service)).toEqual(['down', 'up']));
    await expectUnavailable(service, 'a');
    await runSql(urls[0] as URL, 'drop event trigger refuse');
    await eventually(async () => expect((await write(service, point('a'))).status).toBe(201));
  });

  test('when the import meets it', async () => {
    const { urls } = await startGround({
      isMigrated: false,
      spoil: [forbid('CREATE FUNCTION'), forbid('CREATE FUNCTION')],
    });
    const folder = await mkdtemp(join(tmpdir(), 'm2pg-preparation-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'a.ndjson'), `${JSON.stringify(point('a'))}\n`);
    const { code, stderr } = await runToEnd(['import', join(folder, 'a.ndjson')], urls);
    expect(code).toBe(1);
    expect(stderr).toMatch(/0 of 2 databases/);
    expect(stderr).not.toMatch(/refused [1-9]/);
  });
});

test.each(['P0001', '53100'])(
  'a server that forbids the extension with %s is used, without its index',
  async (sqlstate) => {
    const { service, urls } = await startGround({ isMigrated: false, spoil: [forbid('CREATE EXTENSION', sqlstate)] });
    expect(await statesOf(service)).toEqual(['up']);
    expect((await write(service, point('foo.bar'))).status).toBe(201);
    expect(await read(service, { name: 'o.b' })).toMatchObject({ status: 200, count: 1 });
    expect(await runSql(urls[0] as URL, `select to_regclass('series_name_trigrams') as index`)).toEqual([
      { index: null },
    ]);
  },
);

describe('a failure to get as far as the insert says nothing about summaries', () => {
  const onSeries = (sqlstate: string) => `${raise(sqlstate, 'trigger')};
    create trigger refuse before insert on series for each row when (new.name like 'odd%') execute function refuse()`;

  test.each(sqlstates)('when a trigger on the names raises %s', async (sqlstate) => {
    const { service, urls } = await startGround({ isMigrated: true, spoil: [onSeries(sqlstate), onSeries(sqlstate)] });
    await expectUnavailable(service, 'odd');
    expect((await write(service, [point('known'), point('other')])).status).toBe(201);
    // The first write of all, and the one since.
    for (const url of urls) expect(await countIn(url)).toBeLessThanOrEqual(3);
  });

  test.each(sqlstates)('when an event trigger that forbids new weeks raises %s', async (sqlstate) => {
    const spoil = forbid('CREATE TABLE', sqlstate);
    const { service } = await startGround({ isMigrated: true, spoil: [spoil, spoil] });
    await expectUnavailable(service, 'known', { bucket: point('').bucket - 100 * 86_400 });
    expect((await write(service, point('known'))).status).toBe(201);
  });

  test.each([1, 2])('when a login is refused to those who write, with WRITE_ACKS=%i', async (writeAcks) => {
    const { service, urls } = await startGround({ isMigrated: true, spoil: [forbidLogins, forbidLogins], writeAcks });
    for (const url of urls) {
      await runSql(
        url,
        `select pg_terminate_backend(pid, 1000) from pg_stat_activity
         where datname = current_database() and application_name = 'm2pg'`,
      );
    }
    await expectUnavailable(service, 'known');
  });
});

test('a summary that is refused is named, and its neighbours are stored, though nothing can be put into the quarantine', async () => {
  const spoil = `alter table summaries add constraint modest check (count < 1000); ${raise('P0001', 'trigger')};
    create trigger refuse before insert on quarantine for each row execute function refuse()`;
  const { service, urls } = await startGround({ isMigrated: true, spoil: [spoil, spoil] });
  const { value: _value, ...named } = point('known');
  const statistics = { mean: 1, median: 1, min: 1, max: 1, perc95: 1, perc99: 1, last: 1 };
  const refused = await fetch(`${service.url}/metrics`, {
    method: 'POST',
    body: JSON.stringify([point('known'), { ...named, ...statistics, count: 5_000 }]),
  });
  expect(refused.status).toBe(422);
  expect(await refused.json()).toMatchObject({ errors: [{ path: '1' }] });
  expect((await write(service, point('known'))).status).toBe(201);
  await eventually(async () => {
    for (const url of urls) expect(await countIn(url)).toBe(3);
  });
});
