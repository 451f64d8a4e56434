/** Processes whose clocks are wrong, by libfaketime. */
import { existsSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import type { Status } from '../../src/http/operation-routes.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshFolder, startEmbeddedService } from '../support/embedded-service.ts';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { databaseUrls } from '../support/proxied-service.ts';
import { point, read, write } from '../support/service-client.ts';
import { eventually, type Service, startService } from '../support/service-process.ts';
import { patientMs } from '../support/stored.ts';
import { summaryOf } from '../support/summaries.ts';

vi.setConfig({ testTimeout: patientMs });

const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
const week = 604_800;

const clockAhead = (days: number) => ({ LD_PRELOAD: library, FAKETIME: `+${days}d` });

const statusOf = async ({ url }: Service) => (await (await fetch(`${url}/-/status`)).json()) as Status;

async function countOf(url: URL): Promise<unknown> {
  return (await runSql(url, 'select count(*)::int as count from summaries'))[0]?.count;
}

async function prepareWeeks(weeks: number) {
  const urls = (await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()])) as [URL, URL];
  const summaries = Array.from({ length: weeks }, (_, ago) => summaryOf({ bucket: Date.now() / 1000 - ago * week }));
  for (const url of urls) {
    const database = await freshDatabase({ url });
    await createPostgresStore({ database, observe: () => undefined }).write(summaries);
  }
  return urls;
}

test.skipIf(!existsSync(library))(
  'a service whose clock is 400 days ahead drops nothing, does not maintain, and says why',
  async () => {
    const urls = await prepareWeeks(5);
    const env = { ...databaseUrls(urls), RETENTION: '90d', LOG_LEVEL: 'info' };
    const wrong = await startService({ env: { ...env, ...clockAhead(400) } });
    const right = await startService({ env });
    await eventually(() => expect(wrong.output()).toMatch(/"level":"error".*400 days ahead of that of db1/));
    const { clocks, databases } = await statusOf(wrong);
    expect(clocks.message).toMatch(
      /^the clock of this service is 400 days ahead of that of db1: until they agree, no week/,
    );
    for (const { clockOffsetMs } of databases) expect(Math.round((clockOffsetMs ?? 0) / 86_400_000)).toBe(-400);
    const metrics = await (await fetch(`${wrong.url}/-/metrics`)).text();
    expect(metrics).toMatch(/^m2pg_database_clock_offset_seconds\{database="db1"\} -345\d{5}/m);
    expect((await statusOf(right)).clocks).toMatchObject({ message: null });
    expect(await Promise.all(urls.map(countOf))).toEqual([5, 5]);
    expect(wrong.output() + right.output()).not.toContain('dropped the week');
    expect(await runToEnd(['gc', '--drop'], urls, { env: { RETENTION: '90d', ...clockAhead(400) } })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nothing is dropped: the clock of this service is 400 days ahead'),
    });
    expect(await Promise.all(urls.map(countOf))).toEqual([5, 5]);
  },
);

test.skipIf(!existsSync(library))(
  'a machine whose clock is 400 days ahead, with service and databases on it, drops nothing',
  async () => {
    const cwd = await freshFolder();
    const env = { RETENTION: '90d' };
    const first = await startEmbeddedService({ cwd, env });
    const day = 86_400;
    const now = Math.floor(Date.now() / 1000);
    const old = [20, 10, 0].map((days) => ({ ...point('kept'), bucket: now - days * day }));
    expect(await write(first, old)).toMatchObject({ status: 201 });
    first.process.kill('SIGTERM');
    await first.exited();

    const wrong = await startEmbeddedService({ cwd, env: { ...env, ...clockAhead(400) } });
    await eventually(async () => {
      const { databases, clocks } = await statusOf(wrong);
      expect(databases.map(({ weeksHeldBack }) => weeksHeldBack > 0)).toEqual([true, true]);
      expect(clocks.message).toBeNull();
    });
    expect(wrong.output()).toMatch(/"level":"error".*db1 holds back .* past RETENTION.*gc --drop/);
    expect(await write(wrong, { name: 'wrong', value: 1 })).toMatchObject({ status: 201 });
    wrong.process.kill('SIGTERM');
    await wrong.exited();

    const right = await startEmbeddedService({ cwd, env });
    const kept = { name: '^kept$', from: '-90d', resolution: 'day' };
    expect(await read(right, kept)).toMatchObject({ count: 3, complete: 'true' });
    await eventually(async () => {
      const { databases } = await statusOf(right);
      expect(databases.map(({ weeksHeldBack }) => weeksHeldBack)).toEqual([0, 0]);
    });
    expect(await read(right, kept)).toMatchObject({ count: 3, complete: 'true' });
  },
);
