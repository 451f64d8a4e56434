import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { createFragileServers, type FragileServer } from '../support/fragile-server.ts';
import { runSql } from '../support/fresh-database.ts';
import { point, read, statesOf, write } from '../support/service-client.ts';
import { eventually, runProgram, startService } from '../support/service-process.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: 90_000 });

let servers: [FragileServer, FragileServer];
let urls: [URL, URL];

beforeAll(async () => {
  servers = (await createFragileServers(2)) as [FragileServer, FragileServer];
});

afterEach(() => Promise.all(servers.map((server) => server.restore())));

afterAll(() => Promise.all((servers ?? []).map((server) => server.remove())));

/** An empty database on each server. */
async function createDatabases(): Promise<Record<string, string>> {
  urls = (await Promise.all(servers.map((server) => server.createDatabase()))) as [URL, URL];
  return { DATABASE_URLS: urls.map(String).join('|') };
}

async function migrate(env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const program = runProgram(['migrate'], { env });
  return { code: await program.exited(), output: program.output() };
}

const migrationsOf = (url: URL) => runSql(url, 'select name from m2pg_migrations order by id');

test('migrate brings what can be reached up to date, and a database that is down fails no deploy', async () => {
  const env = await createDatabases();
  await servers[1].kill();
  for (const _ of ['empty', 'up to date']) {
    const { code, output } = await migrate(env);
    expect(code).toBe(0);
    expect(output).toContain('1 of 2 databases are up to date\n');
  }
  expect((await migrationsOf(urls[0])).length).toBeGreaterThan(3);
});

test('a database of a newer m2pg is refused by migrate and by the service, which name it and say what to do', async () => {
  const env = await createDatabases();
  expect((await migrate(env)).code).toBe(0);
  await runSql(urls[1], `insert into m2pg_migrations (name, run_on) values ('9999_from_the_future', now())`);
  const text = /^db2 is refused: it was migrated by a newer m2pg \(9999_from_the_future is unknown here\)/m;
  const migrating = await migrate(env);
  expect(migrating.code).toBe(1);
  expect(migrating.output).toMatch(text);
  const service = runProgram([], { env: { ...env, PORT: '0', HOST: '127.0.0.1' } });
  expect(await service.exited()).toBe(1);
  expect(service.output()).toMatch(text);
  expect(service.output()).not.toMatch(/listening/);
});

test('five processes that migrate the same empty databases at once all succeed, and each migration runs once', async () => {
  const env = await createDatabases();
  const results = await Promise.all(Array.from({ length: 5 }, () => migrate(env)));
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
  for (const { output } of results) expect(output).toContain('2 of 2 databases are up to date\n');
  for (const url of urls) {
    const names = (await migrationsOf(url)).map(({ name }) => name);
    expect(names.length).toBeGreaterThan(3);
    expect(new Set(names).size).toBe(names.length);
  }
});

test('a database that is emptied under load fails no write, is migrated again and written again', async () => {
  const service = await startService({ env: await createDatabases() });
  const answers: Promise<{ status: number }>[] = [];
  const load = setInterval(() => answers.push(write(service, point('load'))), 5);
  try {
    await eventually(() => expect(answers.length).toBeGreaterThan(50));
    await runSql(urls[1], 'drop schema public cascade; create schema public');
    const emptiedAt = answers.length;
    await eventually(async () => {
      expect(await runSql(urls[1], 'select count(*) > 20 as some from summaries')).toEqual([{ some: true }]);
      expect(answers.length).toBeGreaterThan(emptiedAt + 50);
    }, 25_000);
  } finally {
    clearInterval(load);
  }
  const all = await Promise.all(answers);
  expect(all.filter(({ status }) => status !== 201)).toEqual([]);
  await eventually(async () => expect(await statesOf(service)).toEqual(['up', 'up']));
  // db1 has them all; what db2 has again are copies.
  expect(await read(service, {})).toMatchObject({ count: all.length, databases: 'db1=ok, db2=ok' });
});

test('the same database under two URLs is refused at start, for it would make one copy look like two', async () => {
  await createDatabases();
  const twin = new URL(urls[0]);
  twin.hostname = 'localhost';
  const service = runProgram([], { env: { DATABASE_URLS: `${urls[0]}|${twin}`, PORT: '0', HOST: '127.0.0.1' } });
  expect(await service.exited()).toBe(1);
  expect(service.output()).toMatch(/^db[12] is refused: it is the same database as db[12]/m);
  expect(service.output()).not.toMatch(/listening/);
});
