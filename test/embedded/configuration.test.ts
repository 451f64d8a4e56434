import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { freshFolder, startEmbeddedService } from '../support/embedded-service.ts';
import { freshDatabaseUrl } from '../support/fresh-database.ts';
import { point, write } from '../support/service-client.ts';
import { eventually, runProgram, type Service, startService } from '../support/service-process.ts';

test('refuses to start when anything is wrong, tells of all of it at once, and makes nothing', async () => {
  const cwd = await freshFolder();
  const program = runProgram([], {
    cwd,
    env: { PORT: 'http', RETENTION: '3 months', LOG_LEVEL: 'loud' },
  });
  expect(await program.exited()).toBe(1);
  const problems = program.output().trimEnd().split('\n');
  expect(problems.map((line) => line.split(': ')[0]).toSorted()).toEqual(['LOG_LEVEL', 'PORT', 'RETENTION']);
  expect(problems).toContain(
    'RETENTION: expected days or weeks such as 90d or 52w; unset: keep for ever, not "3 months"',
  );
  expect(existsSync(join(cwd, '.m2pg'))).toBe(false);
});

test('on Heroku without a database it starts no servers of its own, whose disk would be lost', async () => {
  const cwd = await freshFolder();
  const program = runProgram([], { cwd, env: { DYNO: 'web.1', PORT: '0' } });
  expect(await program.exited()).toBe(1);
  expect(program.output()).toBe('DATABASE_URLS: no database is attached; expected postgres://…|postgres://…\n');
  expect(existsSync(join(cwd, '.m2pg'))).toBe(false);
});

/** Everything that the service tells anybody. */
async function allThatIsTold(service: Service): Promise<string> {
  const paths = ['/-/status', '/-/metrics', '/-/ready', '/openapi.json', '/metrics', '/metrics?name=(', '/none'];
  const answers = await Promise.all(
    paths.map(async (path) => {
      const response = await fetch(`${service.url}${path}`);
      return [...response.headers, await response.text()].join('\n');
    }),
  );
  const refused = await fetch(`${service.url}/metrics`, { method: 'POST', body: JSON.stringify(point('told')) });
  return [service.output(), ...answers, await refused.text()].join('\n');
}

test('tells nobody the password of its own servers, in the most talkative log', async () => {
  const cwd = await freshFolder();
  const service = await startEmbeddedService({ cwd, env: { LOG_LEVEL: 'trace' } });
  const password = await readFile(join(cwd, '.m2pg/password'), 'utf8');
  expect(password).toHaveLength(36);
  expect((await write(service, point('secret'))).status).toBe(201);
  const told = await allThatIsTold(service);
  service.process.kill('SIGTERM');
  await service.exited();
  expect(told + service.output()).not.toContain(password);
});

test('tells nobody the password of a database, neither of one that works nor of those that fail', async () => {
  const secret = 'pass-w0rd%21';
  const right = await freshDatabaseUrl({ isMigrated: false });
  const wrong = new URL(inject('postgresUrl'));
  wrong.password = secret;
  const failing = [
    wrong,
    `postgres://somebody:${secret}@127.0.0.1:1/nowhere`,
    `postgres://somebody:${secret}@nowhere.invalid/m2pg`,
    `postgres://somebody:${secret}@127.0.0.1:2/nowhere?sslmode=require`,
  ];
  const env = { DATABASE_URLS: [right, ...failing].join('|'), LOG_LEVEL: 'trace' };
  const service = await startService({ env });
  expect((await write(service, point('secret'))).copies).toBe('1/5');
  await eventually(() => expect(service.output()).toMatch(/db2 is left out: it refuses this user/));
  const told = await allThatIsTold(service);
  service.process.kill('SIGTERM');
  await service.exited();
  const all = told + service.output();
  for (const hidden of [secret, decodeURIComponent(secret), right.password]) expect(all).not.toContain(hidden);
});

test('a configuration that is refused shows no password either', async () => {
  const secret = 'pass-w0rd';
  const urls = [
    `mysql://somebody:${secret}@localhost/m2pg`,
    `postgres://somebody:${secret}@/m2pg`,
    `postgres://somebody:${secret}@localhost/m2pg?sslmode=maybe`,
    `postgres://somebody:${secret}@localhost/m2pg|postgres://somebody:${secret}@localhost/m2pg`,
    // Not escaped, so it cannot be told what was meant.
    `postgres://somebody:${secret}%zz@localhost/m2pg`,
  ];
  const programs = urls.map((url) => runProgram([], { env: { DATABASE_URLS: url, PORT: '0' } }));
  for (const program of programs) {
    expect(await program.exited()).toBe(1);
    expect(program.output()).toMatch(/^DATABASE_URLS: /);
    expect(program.output()).not.toContain(secret);
  }
});
