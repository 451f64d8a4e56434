import { describe, expect, test } from 'vitest';
import { ConfigError, readConfig } from '../src/config.ts';

const one = 'postgres://alice:hunter2@one.example/metrics';
const two = 'postgres://alice:hunter2@two.example/metrics';
const three = 'postgresql://alice:hunter2@three.example:6432/metrics';

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

function hrefsOf(environment: Record<string, string>): readonly string[] | string {
  const { databaseUrls } = readConfig(environment);
  return databaseUrls === 'embedded' ? databaseUrls : databaseUrls.map(({ href }) => href);
}

test('needs nothing, and has the documented defaults', () => {
  expect(readConfig({})).toEqual({
    databaseUrls: 'embedded',
    sslMode: 'prefer',
    connectionsMax: 1_000,
    tokens: [],
    isOpen: false,
    corsOrigins: [],
    port: 8_080,
    isPortGiven: false,
    host: '127.0.0.1',
    writeAcks: 1,
    writeTimeoutMs: 2_000,
    readTimeoutMs: 10_000,
    retentionSeconds: undefined,
    ageMaxSeconds: undefined,
    packAfterSeconds: 14 * 86_400,
    bodyBytesMax: 8 * 1_024 * 1_024,
    poolSizeMax: 8,
    webConcurrency: 1,
    logLevel: 'info',
  });
});

test('cannot be changed once it is read', () => {
  expect(Object.isFrozen(readConfig({}))).toBe(true);
});

test.each(['', ' '])('takes a variable that is set to %j for one that is not set', (nothing) => {
  const names = ['DATABASE_URLS', 'DYNO', 'PORT', 'HOST', 'WRITE_ACKS', 'RETENTION', 'POOL_SIZE_MAX', 'LOG_LEVEL'];
  expect(readConfig(Object.fromEntries(names.map((name) => [name, nothing])))).toEqual(readConfig({}));
});

describe('a variable', () => {
  test.each([
    ['PORT', '0', { port: 0, isPortGiven: true }],
    ['PORT', '65535', { port: 65_535, isPortGiven: true }],
    ['HOST', '10.0.0.1', { host: '10.0.0.1' }],
    ['WRITE_TIMEOUT_MS', '500', { writeTimeoutMs: 500, readTimeoutMs: 10_000 }],
    ['READ_TIMEOUT_MS', '30000', { readTimeoutMs: 30_000, writeTimeoutMs: 2_000 }],
    ['RETENTION', '90d', { retentionSeconds: 90 * 86_400 }],
    ['RETENTION', '52w', { retentionSeconds: 52 * 7 * 86_400 }],
    ['AGE_MAX', '520w', { ageMaxSeconds: 520 * 7 * 86_400 }],
    ['PACK_AFTER', '30d', { packAfterSeconds: 30 * 86_400 }],
    ['PACK_AFTER', '1w', { packAfterSeconds: 7 * 86_400 }],
    ['PACK_AFTER', 'never', { packAfterSeconds: undefined }],
    ['BODY_BYTES_MAX', '1048576', { bodyBytesMax: 1_048_576 }],
    ['POOL_SIZE_MAX', '2', { poolSizeMax: 2 }],
    ['WEB_CONCURRENCY', '64', { webConcurrency: 64 }],
    ['CONNECTIONS_MAX', '100000', { connectionsMax: 100_000 }],
    ['OPEN', '1', { isOpen: true }],
    ['OPEN', '0', { isOpen: false }],
    [
      'CORS_ORIGINS',
      'https://a.example, http://localhost:3000',
      { corsOrigins: ['https://a.example', 'http://localhost:3000'] },
    ],
    ['LOG_LEVEL', 'silent', { logLevel: 'silent' }],
    ['PGSSLMODE', 'verify-full', { sslMode: 'verify-full' }],
  ])('%s may be %s', (name, value, expected) => {
    expect(readConfig({ [name]: value })).toMatchObject(expected);
  });

  test.each([
    ['PORT', ['-1', '65536', '80.5', 'http']],
    ['WRITE_ACKS', ['0', '-1', '1.5', 'most', 'ALL']],
    ['WRITE_TIMEOUT_MS', ['0', '9', '600001', '2s', 'Infinity']],
    ['READ_TIMEOUT_MS', ['0', '9', '600001', '10s']],
    ['RETENTION', ['0d', '90', '90 d', '-1d', '1.5w', '6mo', 'forever', '100000d']],
    ['PACK_AFTER', ['0d', '14', '-1d', '2.5w', '1mo', 'no', 'Never']],
    ['BODY_BYTES_MAX', ['0', '1023', '8MiB', '268435457']],
    ['POOL_SIZE_MAX', ['0', '1', '1001', 'many']],
    ['WEB_CONCURRENCY', ['0', '65', '1.5', 'auto']],
    ['CONNECTIONS_MAX', ['0', '100001', 'all']],
    ['OPEN', ['yes', 'true', '2']],
    ['CORS_ORIGINS', ['any', 'example.com', 'https://a.example/', 'https://a.example,']],
    ['LOG_LEVEL', ['verbose', 'INFO']],
    ['PGSSLMODE', ['yes', 'verify']],
  ])('%s is refused as any of %j, with its name, what is expected and what was given', (name, values) => {
    for (const value of values) {
      expect(problemsOf({ [name]: value })).toEqual([expect.stringMatching(`^${name}: expected .*, not "${value}"$`)]);
    }
  });
});

test('tells all problems at once, each with the name of its variable', () => {
  const problems = problemsOf({
    PORT: 'wrong',
    WRITE_TIMEOUT_MS: 'wrong',
    RETENTION: 'wrong',
    LOG_LEVEL: 'wrong',
    DATABASE_URLS: 'wrong|wrong',
    WRITE_ACKS: '3',
  });
  expect(problems.map((problem) => problem.split(':')[0]).toSorted()).toEqual([
    'DATABASE_URLS',
    'DATABASE_URLS',
    'LOG_LEVEL',
    'PORT',
    'RETENTION',
    'WRITE_ACKS',
    'WRITE_TIMEOUT_MS',
  ]);
  expect(new ConfigError(problems).message).toBe(problems.join('\n'));
});

describe('HOST', () => {
  test('is every interface where the platform gives a port, and loopback elsewhere', () => {
    expect(readConfig({ PORT: '5000' }).host).toBe('::');
    expect(readConfig({}).host).toBe('127.0.0.1');
  });

  test('is what it is set to, whoever gives the port', () => {
    expect(readConfig({ PORT: '5000', HOST: '127.0.0.1' }).host).toBe('127.0.0.1');
    expect(readConfig({ HOST: '0.0.0.0' }).host).toBe('0.0.0.0');
  });
});

describe('WRITE_ACKS', () => {
  test.each([
    ['1', 1],
    ['3', 3],
    ['majority', 2],
    ['all', 3],
  ])('%s of three databases is %d', (text, writeAcks) => {
    expect(readConfig({ DATABASE_URLS: `${one}|${two}|${three}`, WRITE_ACKS: text }).writeAcks).toBe(writeAcks);
  });

  test.each([
    ['majority of one database', { DATABASE_URLS: one, WRITE_ACKS: 'majority' }, 1],
    ['majority of two databases', { DATABASE_URLS: `${one}|${two}`, WRITE_ACKS: 'majority' }, 2],
    ['all of the embedded databases', { WRITE_ACKS: 'all' }, 2],
  ])('%s: %o is %d', (_, environment, writeAcks) => {
    expect(readConfig(environment).writeAcks).toBe(writeAcks);
  });

  test.each([
    ['two databases', { DATABASE_URLS: `${one}|${two}`, WRITE_ACKS: '3' }],
    ['the embedded ones', { WRITE_ACKS: '3' }],
    ['two on Heroku', { DYNO: 'web.1', DATABASE_URL: one, HEROKU_POSTGRESQL_RED_URL: two, WRITE_ACKS: '3' }],
  ])('cannot be more than %s', (_, environment) => {
    expect(problemsOf(environment)).toEqual(['WRITE_ACKS: expected at most 2, the number of databases, not 3']);
  });

  test('is not blamed for a database whose URL is wrong', () => {
    expect(problemsOf({ DATABASE_URLS: `${one}|wrong`, WRITE_ACKS: '2' })).toEqual([
      expect.stringMatching(/^DATABASE_URLS: db2 /),
    ]);
  });
});

describe('DATABASE_URLS', () => {
  test('is a list whose order names the databases', () => {
    expect(hrefsOf({ DATABASE_URLS: `${two}|${one}|${three}` })).toEqual([two, one, three]);
    expect(hrefsOf({ DATABASE_URLS: ` ${two} |\n${one} ` })).toEqual([two, one]);
  });

  test('keeps a password that is percent-encoded, and a socket as host', () => {
    const urls = ['postgres://alice:a%7Cb%40c@one.example/metrics', 'postgres:///metrics?host=%2Frun%2Fpostgresql'];
    expect(hrefsOf({ DATABASE_URLS: urls.join('|') })).toEqual(urls);
  });

  test.each([
    ['no URL', 'wrong'],
    ['nothing between two separators', ''],
    ['another scheme', 'mysql://alice:hunter2@one.example/metrics'],
    ['no host', 'postgres:///metrics'],
    ['a slash in the password', 'postgres://alice:hunter2/@one.example/metrics'],
  ])('is refused with %s, and tells which one it is', (_, wrong) => {
    expect(problemsOf({ DATABASE_URLS: `${one}|${wrong}|${two}` })).toEqual([
      expect.stringMatching(/^DATABASE_URLS: db2 is not a URL .*expected postgres:\/\//),
    ]);
  });

  test('is refused with an sslmode that is none', () => {
    expect(problemsOf({ DATABASE_URLS: `${one}?sslmode=maybe` })).toEqual([
      'DATABASE_URLS: db1 has an unknown sslmode',
    ]);
  });

  test.each([
    ['again', one],
    ['as another user', 'postgres://bob:secret@one.example/metrics'],
    ['with the other scheme', 'postgresql://alice:hunter2@one.example/metrics'],
    ['with the port that is the default', 'postgres://alice:hunter2@one.example:5432/metrics'],
    ['with its host in capitals', 'postgres://alice:hunter2@ONE.example/metrics'],
    ['by the name of its user, which is the default', 'postgres://metrics:secret@one.example'],
    ['with parameters', `${one}?sslmode=require`],
    ['with its host as a parameter', 'postgres:///metrics?host=one.example'],
  ])('is refused with the same database %s', (_, twin) => {
    expect(problemsOf({ DATABASE_URLS: `${one}|${two}|${twin}` })).toEqual([
      'DATABASE_URLS: db1 and db3 are the same database; give each one once',
    ]);
  });

  test.each([
    ['another host', 'postgres://alice:hunter2@two.example/metrics'],
    ['another port', 'postgres://alice:hunter2@one.example:5433/metrics'],
    ['another name', 'postgres://alice:hunter2@one.example/metrics2'],
  ])('may name a database with %s beside the first', (_, other) => {
    expect(hrefsOf({ DATABASE_URLS: `${one}|${other}` })).toEqual([one, other]);
  });

  test('wins over what Heroku attaches', () => {
    expect(hrefsOf({ DYNO: 'web.1', DATABASE_URL: one, DATABASE_URLS: `${two}|${three}` })).toEqual([two, three]);
  });
});

describe('on Heroku', () => {
  const dyno = { DYNO: 'web.1' };

  test('every attached database is used, the primary one first', () => {
    const environment = { HEROKU_POSTGRESQL_RED_URL: three, AMBER_URL: two, DATABASE_URL: one };
    expect(hrefsOf({ ...dyno, ...environment })).toEqual([one, two, three]);
  });

  test('a database that is attached under two names counts once', () => {
    const again = 'postgres://other-credential:secret@one.example:5432/metrics';
    const environment = { AMBER_URL: again, DATABASE_URL: one, HEROKU_POSTGRESQL_RED_URL: one, ZINC_URL: two };
    expect(hrefsOf({ ...dyno, ...environment })).toEqual([one, two]);
  });

  test.each([
    ['a pooled way into a database', { DATABASE_CONNECTION_POOL_URL: three, HEROKU_POSTGRESQL_RED_POOLER_URL: three }],
    ['what is no PostgreSQL', { REDIS_URL: 'redis://:hunter2@three.example', SENTRY_URL: 'https://x@three.example/1' }],
    ['a variable that is no URL', { LOGO_URL: '/logo.svg', DATABASE_URL_OLD: three }],
  ])('%s is left out', (_, environment) => {
    expect(hrefsOf({ ...dyno, DATABASE_URL: one, ...environment })).toEqual([one]);
  });

  test('the lack of a database is a problem, since the disk there is lost with the dyno', () => {
    expect(problemsOf(dyno)).toEqual([expect.stringMatching(/^DATABASE_URLS: no database is attached/)]);
  });

  test('and only there, attached databases are looked for', () => {
    expect(hrefsOf({ DATABASE_URL: one, HEROKU_POSTGRESQL_RED_URL: two })).toBe('embedded');
  });
});

test('shows no password, user or host in any problem', () => {
  const wrong = 'postgres://alice:hunter2@one.example:port/metrics';
  const problems = [
    ...problemsOf({
      DATABASE_URLS: [wrong, one, one, 'alice:hunter2@one.example', `${two}?sslmode=hunter2`].join('|'),
    }),
    ...problemsOf({ DYNO: 'web.1', DATABASE_URL: wrong, WRITE_ACKS: '7' }),
    ...[one, 'alice:hunter2@one.example', 'hunter2'.repeat(4)].flatMap((secret) =>
      ['PORT', 'WRITE_ACKS', 'RETENTION', 'LOG_LEVEL', 'PGSSLMODE'].flatMap((name) => problemsOf({ [name]: secret })),
    ),
    ...problemsOf({ HOST: one }),
    ...problemsOf({ HOST: 'alice:hunter2@one.example' }),
    ...problemsOf({ CORS_ORIGINS: 'https://alice:hunter2@one.example' }),
  ];
  expect(problems.length).toBe(23);
  expect(problems.filter((problem) => /hunter2|alice|(one|two)\.example/.test(problem))).toEqual([]);
});
