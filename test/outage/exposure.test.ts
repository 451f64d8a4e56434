import { expect, test } from 'vitest';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabaseUrl } from '../support/fresh-database.ts';
import { eventually, startService } from '../support/service-process.ts';

const token = 'TOKENCANARY0123456789';

test('refuses to listen to the world without tokens, and says what would be right', async () => {
  const url = await freshDatabaseUrl();
  for (const env of [{ PORT: '0' }, { PORT: '0', HOST: '0.0.0.0' }, { HOST: '::' }, { HOST: '10.1.2.3' }]) {
    const { code, stderr } = await runToEnd([], [url], { env: env as Record<string, string> });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^TOKENS: is not set, and m2pg would listen on .*TOKENS=.*OPEN=1.*HOST=127\.0\.0\.1/);
  }
});

test.each([
  ['with OPEN=1', { OPEN: '1' }, 200],
  ['with tokens', { TOKENS: `write:${token}` }, 401],
])('listens to the world %s', async (_, env, status) => {
  const url = await freshDatabaseUrl();
  const service = await startService({ env: { DATABASE_URLS: url.href, HOST: '0.0.0.0', ...env } });
  const { port } = new URL(service.url);
  expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(status);
});

test('shows no password and no token in logs, answers, status and metrics, whatever fails', async () => {
  const good = await freshDatabaseUrl();
  const withPassword = (change: (url: URL) => void) => {
    const url = new URL(good);
    url.password = 'PASSWORDCANARY';
    change(url);
    return url.href;
  };
  const urls = [
    good.href,
    // The role may be let in without a password: a name that does not exist never is.
    withPassword((url) => {
      url.username = 'nobody_of_that_name';
      url.pathname = '/postgres';
    }),
    withPassword((url) => {
      url.port = '9';
    }),
    withPassword((url) => {
      url.hostname = 'nowhere.invalid';
    }),
    withPassword((url) => {
      url.hostname = 'localhost';
      url.searchParams.set('sslmode', 'verify-full');
    }),
    withPassword((url) => {
      url.pathname = '/no_such_database';
    }),
  ];
  const env = { DATABASE_URLS: urls.join('|'), TOKENS: `admin:${token}`, LOG_LEVEL: 'trace', WRITE_ACKS: 'majority' };
  const service = await startService({ env });
  const headers = { Authorization: `Bearer ${token}` };
  const body = JSON.stringify({ name: 'a', value: 1 });
  const answers = [
    await fetch(`${service.url}/metrics`, { method: 'POST', headers, body }),
    await fetch(`${service.url}/metrics`, {
      method: 'POST',
      headers: { Authorization: `Basic ${btoa(`x:${token}1`)}` },
      body,
    }),
    await fetch(`${service.url}/metrics?partial=refuse`, { headers }),
    await fetch(`${service.url}/metrics?token=${token}&name=(`, { headers }),
    await fetch(`${service.url}/-/status`, { headers }),
    await fetch(`${service.url}/-/metrics`, { headers }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([503, 401, 503, 422, 200, 200]);
  const texts = await Promise.all(answers.map((answer) => answer.text()));
  await eventually(() => expect(service.output()).toMatch(/db6 is left out/));
  const everything = [...texts, service.output(), JSON.stringify(answers.map((answer) => [...answer.headers]))].join();
  expect(everything).toContain('db2');
  expect(everything).not.toMatch(/CANARY/);
});
