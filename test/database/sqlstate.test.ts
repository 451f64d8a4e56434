import { DatabaseError } from 'pg';
import { describe, expect, test } from 'vitest';
import { databaseFailure, isReportedByServer, readinessFailure } from '../../src/database/sqlstate.ts';
import { Failure } from '../../src/domain/failure.ts';

/** What `pg` raises when the server reports an error. */
function reported(code: string, message = 'relation "secret_table" is not for clients'): DatabaseError {
  const error = new DatabaseError(message, message.length, 'error');
  error.code = code;
  return error;
}

/** What Node raises about a socket or about TLS. */
function raised(code: string): Error {
  return Object.assign(new Error(`connect ${code} 10.0.0.1:5432`), { code });
}

test('takes a constraint that has a name for one of the operator, and none for a missing partition', () => {
  expect(databaseFailure(Object.assign(reported('23514'), { constraint: 'modest' })).code).toBe('data_refused');
});

test.each([
  ['summaries_20260105_pkey', 'public', 'conflict'],
  ['pg_type_typname_nsp_index', 'pg_catalog', 'conflict'],
  ['one_a_minute', 'public', 'data_refused'],
])('takes a unique violation of %s in %s for %s', (constraint, schema, code) => {
  expect(databaseFailure(Object.assign(reported('23505'), { constraint, schema })).code).toBe(code);
});

describe('takes what PostgreSQL reports', () => {
  test.each([
    ['08006', 'unreachable'],
    ['22021', 'data_refused'],
    ['2201B', 'invalid_pattern'],
    ['23502', 'series_missing'],
    ['23503', 'data_refused'],
    ['23505', 'conflict'],
    ['23514', 'partition_missing'],
    ['25006', 'read_only'],
    ['28P01', 'authentication'],
    ['25P03', 'unreachable'],
    ['25P04', 'unreachable'],
    ['26000', 'session_lost'],
    ['3D000', 'database_missing'],
    ['40003', 'conflict'],
    ['40P01', 'conflict'],
    ['42501', 'permission_denied'],
    ['42704', 'schema_missing'],
    ['42P01', 'schema_missing'],
    ['42P05', 'session_lost'],
    ['53000', 'out_of_resources'],
    ['53100', 'disk_full'],
    ['53200', 'out_of_resources'],
    ['53300', 'too_many_connections'],
    ['53400', 'out_of_resources'],
    ['54001', 'data_refused'],
    ['55P03', 'timeout'],
    ['57014', 'timeout'],
    ['57P01', 'unreachable'],
    ['57P03', 'starting'],
    ['P0001', 'data_refused'],
    ['57P02', 'unreachable'],
    ['57P05', 'unreachable'],
    ['58000', 'io_error'],
    ['58030', 'io_error'],
    ['58P01', 'damaged'],
    ['58P02', 'damaged'],
    ['72000', 'conflict'],
    ['F0000', 'damaged'],
    ['38000', 'data_refused'],
    ['45000', 'data_refused'],
    ['ZX001', 'data_refused'],
    ['42601', 'unknown'],
    ['55000', 'unknown'],
    ['XX000', 'unknown'],
    ['XX001', 'damaged'],
    ['XX002', 'damaged'],
  ])('%s for %s', (sqlstate, code) => {
    expect(databaseFailure(reported(sqlstate)).code).toBe(code);
  });

  test('no class of PostgreSQL for a rule that an operator made up', () => {
    const classes =
      '00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 72 F0 HV P0 XX';
    const refused = classes.split(' ').filter((of) => databaseFailure(reported(`${of}ZZZ`)).code === 'data_refused');
    // Those in which PostgreSQL speaks of the data, or a trigger speaks.
    expect(refused).toEqual(['09', '22', '23', '27', '38', '39', '44', '54', 'P0']);
  });

  test.each([
    ['53100', 'has no room left on its disk'],
    ['53200', 'is out of memory'],
    ['53400', 'has reached a limit of its configuration, such as temp_file_limit'],
    ['58000', 'reports an error of its system'],
    ['58030', 'has a failing disk'],
    ['58P01', 'lacks a file of its installation or of its data'],
    ['XX001', 'has damaged data'],
    ['XX002', 'has a damaged index'],
    ['55P03', 'did not grant a lock in time'],
    ['57014', 'did not answer in time'],
  ])('%s and says of the database that it %s', (sqlstate, words) => {
    expect(databaseFailure(reported(sqlstate)).message).toBe(words);
  });
});

describe('takes what PgBouncer reports, all of it as 08P01,', () => {
  test.each([
    ['password authentication failed', 'authentication'],
    ['no such user: alice', 'authentication'],
    ['no such database: metrics', 'database_missing'],
    ['database "metrics" does not exist', 'database_missing'],
    ['role "alice" does not exist', 'authentication'],
    ['permission denied for database "metrics"', 'permission_denied'],
    ['sorry, too many clients already', 'too_many_connections'],
    ['too many connections for role "alice"', 'too_many_connections'],
    ['the database system is starting up', 'starting'],
    ['unsupported startup parameter: options', 'unsupported_database'],
    ['unsupported startup parameter in options: work_mem', 'unsupported_database'],
    ['transaction blocks not allowed in statement pooling mode', 'unsupported_database'],
    ['no more connections allowed (max_client_conn)', 'too_many_connections'],
    ['query_wait_timeout', 'too_many_connections'],
    ['client_login_timeout (server down)', 'timeout'],
    ['server login has been failing, try again later (server_login_retry)', 'unreachable'],
    ['server conn crashed?', 'unreachable'],
    ['pooler is shutting down', 'unreachable'],
    ['invalid message format', 'unreachable'],
  ])('%s, for %s', (message, code) => {
    expect(databaseFailure(reported('08P01', message)).code).toBe(code);
  });
});

describe('takes what is wrapped for what it is caused by', () => {
  const wrap = (cause: unknown) => new Error('Error loading migration files: whatever', { cause });

  test.each([
    [wrap(reported('57P01')), 'unreachable'],
    [wrap(wrap(raised('ECONNRESET'))), 'unreachable'],
    [wrap(wrap(reported('42501'))), 'permission_denied'],
    [wrap(new Error('Connection terminated unexpectedly')), 'unreachable'],
    [new AggregateError([wrap(raised('ETIMEDOUT'))]), 'timeout'],
    // Codes tell more than words.
    [new Error('Connection terminated due to connection timeout', { cause: raised('CERT_HAS_EXPIRED') }), 'tls'],
    [wrap(new Failure('schema_newer', 'was migrated by a newer m2pg')), 'schema_newer'],
    [wrap('a string'), 'unknown'],
  ])('%s: %s', (error, code) => {
    expect(databaseFailure(error).code).toBe(code);
  });

  test('and is not led in a circle', () => {
    const circle = new Error('a');
    circle.cause = new Error('b', { cause: circle });
    expect(databaseFailure(circle).code).toBe('unknown');
  });
});

describe('takes what the network, TLS and the driver raise', () => {
  test.each([
    [raised('ECONNREFUSED'), 'unreachable'],
    [raised('EPIPE'), 'unreachable'],
    [raised('ENOTFOUND'), 'unreachable'],
    [raised('ETIMEDOUT'), 'timeout'],
    [raised('DEPTH_ZERO_SELF_SIGNED_CERT'), 'tls'],
    [raised('ERR_TLS_CERT_ALTNAME_INVALID'), 'tls'],
    [raised('CERT_HAS_EXPIRED'), 'tls'],
    [raised('CERT_NOT_YET_VALID'), 'tls'],
    [raised('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'), 'tls'],
    [raised('ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED'), 'tls'],
    [raised('ERR_SSL_UNSUPPORTED_PROTOCOL'), 'tls'],
    [new AggregateError([raised('ECONNREFUSED'), raised('ENETUNREACH')]), 'unreachable'],
    [new Error('The server does not support SSL connections'), 'tls'],
    [new Error('Query read timeout'), 'timeout'],
    [new Error('timeout exceeded when trying to connect'), 'timeout'],
    [new Error('Connection terminated unexpectedly'), 'unreachable'],
    [new Error('Cannot use a pool after calling end on the pool'), 'unreachable'],
    [new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'), 'authentication'],
    [new TypeError('x is undefined'), 'unknown'],
    ['a string', 'unknown'],
  ])('%s for %s', (error, code) => {
    expect(databaseFailure(error).code).toBe(code);
  });
});

test('shows a client nothing of what the driver says, and keeps it as the cause', () => {
  const error = reported('42P01');
  const failure = databaseFailure(error);
  expect(failure.message).toBe('lacks the tables of m2pg');
  expect(failure.cause).toBe(error);
  expect(databaseFailure(raised('ECONNREFUSED')).message).not.toContain('10.0.0.1');
});

test('shows of a complaint about a pattern what PostgreSQL says in plain ASCII, and nothing else', () => {
  const messageOf = (message: string) => databaseFailure(reported('2201B', message)).message;
  expect(messageOf('invalid regular expression: brackets [] not balanced')).toBe('brackets [] not balanced');
  const general = 'not a regular expression as PostgreSQL understands it';
  expect(messageOf('ungültiger regulärer Ausdruck: Klammern')).toBe(general);
  expect(messageOf('invalid regular expression: \u001b[2J')).toBe(general);
});

test('leaves a Failure as it is', () => {
  const failure = new Failure('schema_newer', 'was migrated by a newer m2pg');
  expect(databaseFailure(failure)).toBe(failure);
});

test.each(['22023', '2201B', '23502', '23505', '23514', '40001', '40P01', 'P0001', 'P0004', 'ZX001'])(
  'takes %s for no verdict on a statement where there was none yet',
  (sqlstate) => {
    const error = reported(sqlstate);
    for (const raised of [error, databaseFailure(error)]) {
      expect(readinessFailure(raised)).toMatchObject({ code: 'preparation_failed', cause: error });
    }
  },
);

test.each(['28P01', '42501', '53300', '57P03', '42P01'])(
  'takes %s for the same before a statement as in one',
  (sqlstate) => {
    expect(readinessFailure(reported(sqlstate)).code).toBe(databaseFailure(reported(sqlstate)).code);
  },
);

describe('trusts a connection on after an error', () => {
  test.each([
    ['that the server reported', reported('23505'), true],
    ['by which the server ended a statement only', reported('57014'), true],
    ['by which the server ended the connection', reported('57P01'), false],
    ['by which the server ended the session with its transaction', reported('25P03'), false],
    ['of a session that is not what it was', reported('26000'), false],
    ['of the protocol', reported('08P01'), false],
    ['of the network that looks like an SQLSTATE', raised('EPIPE'), false],
    ['of the network', raised('ECONNRESET'), false],
    ['of our own clock', new Error('Query read timeout'), false],
  ])('%s', (_, error, isTrusted) => {
    expect(isReportedByServer(error)).toBe(isTrusted);
  });
});
