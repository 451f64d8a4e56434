import { describe, expect, test, vi } from 'vitest';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { expectUndisturbed } from '../support/load.ts';
import { holdLocks } from '../support/lock.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, type WriteAnswer, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs, untilEqual } from '../support/stored.ts';

vi.setConfig({ testTimeout: patientMs });

const writeTimeoutMs = 1_500;

/** What a write may take that waits for nothing. The machine of the tests may be busy. */
const quicklyMs = 1_000;

const daySeconds = 86_400;

/** A point of a week that no database has a partition for. */
const latePoint = (daysAgo = 100) => ({ ...point('load'), bucket: point('load').bucket - daysAgo * daySeconds });

interface Ground {
  readonly service: Service;
  readonly urls: readonly [URL, URL];
}

/** A service that has taken a write of each kind, so that its connections, names and this week are there. */
async function startGround(): Promise<Ground> {
  const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
  const env = { ...databaseUrls(urls), WRITE_TIMEOUT_MS: String(writeTimeoutMs) };
  const service = await startService({ env });
  const { ids } = await eventually(async () => {
    const answer = await write(service, [point('load'), { ...point('measured'), units: 'ms' }]);
    expect(answer.status).toBe(201);
    return answer;
  });
  await untilEqual(urls, ids);
  return { service, urls };
}

function expectRefusedInTime({ status, retryAfter, durationMs }: WriteAnswer): void {
  expect({ status, retryAfter }).toEqual({ status: 503, retryAfter: '2' });
  expect(durationMs).toBeLessThan(writeTimeoutMs + 500);
}

/** Sends log lines, as a drain does. */
async function sendLogs({ url }: Service, name: string): Promise<number> {
  const body = `<13>1 ${new Date().toISOString()} host app web.1 - measure#${name}=4ms\n`;
  return (await fetch(`${url}/logs`, { method: 'POST', body })).status;
}

describe.each([
  ['ANALYZE in a transaction that stays open', 'analyze summaries'],
  ['SHARE UPDATE EXCLUSIVE, as VACUUM takes it', 'lock table summaries in share update exclusive mode'],
])('while the week of a write cannot be made for %s', (_, sql) => {
  test('in every database, that write is answered 503 in time, and no other write is disturbed', async () => {
    const { service, urls } = await startGround();
    const locks = await holdLocks(urls, sql);
    await expectUndisturbed(service, async () => {
      // Several at once and one after another: each batch would meet one of them.
      for (let time = 0; time < 2; time += 1) {
        const answers = await Promise.all([100, 100, 200, 300].map((days) => write(service, latePoint(days))));
        answers.forEach(expectRefusedInTime);
      }
      // Of a write that needs the week, nothing is stored.
      expectRefusedInTime(await write(service, [point('load'), latePoint()]));
    });
    await locks.release();
    await eventually(async () => expect(await write(service, latePoint())).toMatchObject({ status: 201 }));
  });

  test('in one database, that write is answered from the other, and copied when the lock is gone', async () => {
    const { service, urls } = await startGround();
    const locks = await holdLocks(urls.slice(1), sql);
    const ids: string[] = [];
    await expectUndisturbed(service, async () => {
      for (let time = 0; time < 5; time += 1) {
        const answer = await write(service, latePoint());
        expect(answer).toMatchObject({ status: 201, copies: '1/2' });
        expect(answer.durationMs).toBeLessThan(quicklyMs);
        ids.push(...answer.ids);
      }
    });
    await locks.release();
    await untilEqual(urls, ids);
  });
});

test('a long read keeps no week from being made', async () => {
  const { service, urls } = await startGround();
  await holdLocks(urls, 'select count(*) from summaries');
  const answer = await write(service, latePoint());
  expect(answer.status).toBe(201);
  expect(answer.durationMs).toBeLessThan(quicklyMs);
});

test('a lock on one database that blocks all inserts keeps no write from the other', async () => {
  const { service, urls } = await startGround();
  const locks = await holdLocks(urls.slice(1), 'lock table summaries in share mode');
  const { all } = await expectUndisturbed(service, async () => {
    const late = await write(service, [latePoint(), point('new')]);
    expect(late).toMatchObject({ status: 201, copies: '1/2' });
  });
  await locks.release();
  await untilEqual(
    urls,
    all.flatMap(({ ids }) => ids),
  );
});

describe.each([
  ['a SHARE lock on the dictionary', 'lock table series in share mode'],
  ['an index build on the dictionary', 'create index on series (units)'],
])('while new names cannot be made for %s in every database', (_, sql) => {
  test('they are answered 503 in time; known ones, with units or without, are stored as ever', async () => {
    const { service, urls } = await startGround();
    expect(await sendLogs(service, 'logged')).toBe(200);
    const locks = await holdLocks(urls, sql);
    await expectUndisturbed(service, async () => {
      const refused = await Promise.all(['a', 'b'].map((name) => write(service, point(name))));
      refused.forEach(expectRefusedInTime);
      expectRefusedInTime(await write(service, [point('load'), point('a')]));
      const measured = await write(service, { ...point('measured'), units: 's' });
      expect(measured.status).toBe(201);
      expect(measured.durationMs).toBeLessThan(quicklyMs);
      expect(await sendLogs(service, 'logged')).toBe(200);
      expect(await sendLogs(service, 'not.logged.before')).toBe(503);
    });
    await locks.release();
    await eventually(async () => expect(await write(service, point('a'))).toMatchObject({ status: 201 }));
  });
});

test('while one new name cannot be made, others can, together with it and after it', async () => {
  const { service, urls } = await startGround();
  const locks = await holdLocks(urls, `insert into series (name) values ('stuck')`);
  await expectUndisturbed(service, async () => {
    const stuck = write(service, [point('stuck'), point('beside')]);
    const names = Array.from({ length: 40 }, (_, index) => `new.${index}`);
    const answers = await Promise.all(names.map((name) => write(service, point(name))));
    expect(answers.map(({ status }) => status)).toEqual(names.map(() => 201));
    expectRefusedInTime(await stuck);
  });
  await locks.release();
  await eventually(async () => expect(await write(service, point('stuck'))).toMatchObject({ status: 201 }));
});

test('weeks and names can be made while the other cannot', async () => {
  const { service, urls } = await startGround();
  const onSeries = await holdLocks(urls, 'lock table series in share mode');
  const stuckName = write(service, point('stuck'));
  expect(await write(service, latePoint())).toMatchObject({ status: 201 });
  expectRefusedInTime(await stuckName);
  await onSeries.release();
  await holdLocks(urls, 'lock table summaries in share update exclusive mode');
  const stuckWeek = write(service, latePoint(200));
  expect(await write(service, point('stuck'))).toMatchObject({ status: 201 });
  expectRefusedInTime(await stuckWeek);
});

test('what makes a week waits for no lock that reads or writes of other weeks would have to wait behind', async () => {
  const { service, urls } = await startGround();
  await holdLocks(urls, 'lock table summaries in share update exclusive mode');
  const stuck = write(service, latePoint());
  const modes = new Set<unknown>();
  await eventually(async () => {
    const text =
      'select distinct relation::regclass::text as name, mode from pg_locks where relation is not null and not granted';
    for (const { name, mode } of await runSql(urls[0], text)) modes.add(`${name} ${mode}`);
    expect(modes.size).toBeGreaterThan(0);
  });
  await stuck;
  expect([...modes]).toEqual(['summaries ShareUpdateExclusiveLock']);
  expect(await read(service, { name: 'load' })).toMatchObject({ status: 200, complete: 'true' });
});
