import { expect, test } from 'vitest';
import { ConfigError, readConfig } from '../src/config.ts';

const one = 'postgres://alice:hunter2@one.example/metrics';
const two = 'postgres://alice:hunter2@two.example/metrics';

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test.each([
  'sslmode=verify-full&sslrootcert=%2Fetc%2Fca.pem&sslcert=a&sslkey=b',
  'application_name=metrics',
  'connect_timeout=10',
  'options=-c%20work_mem%3D64MB%20-c%20search_path%3Dmetrics',
  'options=-c%20TimeZone%3Dutc',
  'options=endpoint%3Dep-of-a-provider',
  'sslmode=require&channel_binding=require',
  'sslmode=require&sslnegotiation=direct',
  'gssencmode=disable&fallback_application_name=x',
])('the URL of a database may have the parameters %s', (parameters) => {
  expect(problemsOf({ DATABASE_URLS: `${one}?${parameters}` })).toEqual([]);
});

test.each(
  [
    'query_timeout',
    'statement_timeout',
    'lock_timeout',
    'idle_in_transaction_session_timeout',
    'idle_session_timeout',
    'transaction_timeout',
    'keepalives',
    'keepalives_idle',
    'tcp_user_timeout',
  ].flatMap((name) => ['0', '-1', 'abc', '', '99999999999999999999', '5000'].map((value) => [name, value])),
)('the URL of a database is refused with %s=%s, a limit that m2pg sets itself', (name, value) => {
  expect(problemsOf({ DATABASE_URLS: `${one}|${two}?${name}=${value}` })).toEqual([
    `DATABASE_URLS: db2 has the parameter ${name}, which m2pg sets itself: leave it out`,
  ]);
});

test.each(['0', '-1', 'abc', '', '1.5', '1e3', '99999', '99999999999999999999'])(
  'the URL of a database is refused with connect_timeout=%s, which is no limit',
  (value) => {
    expect(problemsOf({ DATABASE_URLS: `${one}?connect_timeout=${value}` })).toEqual([
      expect.stringMatching(
        /^DATABASE_URLS: db1 has a connect_timeout that is no limit; expected whole seconds from 1/,
      ),
    ]);
  },
);

test.each([
  ['-c statement_timeout=0', 'statement_timeout'],
  ['-cstatement_timeout=0', 'statement_timeout'],
  ['--statement-timeout=0', 'statement_timeout'],
  ['-c geqo=off  -c Statement_Timeout=-1', 'statement_timeout'],
  ['-c synchronous_commit=off', 'synchronous_commit'],
  ['-c extra_float_digits=0', 'extra_float_digits'],
  ['-c timezone=Asia/Kathmandu', 'timezone'],
  ['-c session_replication_role=replica', 'session_replication_role'],
])('the URL of a database is refused with the options %s, which change what m2pg depends on', (options, name) => {
  expect(problemsOf({ DATABASE_URLS: `${one}?options=${encodeURIComponent(options)}` })).toEqual([
    `DATABASE_URLS: db1 sets ${name} in its options, which m2pg sets itself: leave it out`,
  ]);
});

test.each([
  ['sslmod=verify-full', /has the parameter sslmod, which m2pg does not know; known are host, port, /],
  ['ssl=true', /has the parameter ssl; expected sslmode=require, or another sslmode$/],
  ['stream=x', /has the parameter stream, which m2pg does not know/],
  ['max=1000', /has the parameter max, which m2pg does not know/],
  ['client_encoding=LATIN1', /has the parameter client_encoding, which m2pg sets itself/],
  ['sslmode=require&sslmode=disable', /has the parameter sslmode twice$/],
  ['sslnegotiation=never', /has an unknown sslnegotiation; expected postgres or direct$/],
  ['application_name=', /has an application_name that is not 1 to 63 characters of ASCII$/],
])('the URL of a database is refused with the parameters %s', (parameters, problem) => {
  expect(problemsOf({ DATABASE_URLS: `${one}?${parameters}` })).toEqual([expect.stringMatching(problem)]);
});

test('the URL of a database is refused with a password that makes parameters, none of which is shown', () => {
  const problems = problemsOf({ DATABASE_URLS: 'postgres://alice:12?hunter2@one.example/metrics' });
  expect(problems).toEqual([expect.stringMatching(/^DATABASE_URLS: db1 has a parameter, which m2pg does not know/)]);
  expect(problems.join()).not.toMatch(/hunter2|alice/);
});

test('what is wrong with the parameters of an attached database is told by the name of its variable', () => {
  expect(problemsOf({ DYNO: 'web.1', DATABASE_URL: one, AMBER_URL: `${two}?query_timeout=0` })).toEqual([
    'AMBER_URL: its database has the parameter query_timeout, which m2pg sets itself: leave it out',
  ]);
});
