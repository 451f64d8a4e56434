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
    ['3D000', 'unreachable'],
    ['40P01', 'conflict'],
    ['42501', 'authentication'],
    ['42P01', 'schema_missing'],
    ['53100', 'disk_full'],
    ['53200', 'disk_full'],
    ['53300', 'too_many_connections'],
    ['54001', 'data_refused'],
    ['55P03', 'timeout'],
    ['57014', 'timeout'],
    ['57P01', 'unreachable'],
    ['57P03', 'starting'],
    ['P0001', 'data_refused'],
    ['58030', 'disk_full'],
    ['38000', 'data_refused'],
    ['45000', 'data_refused'],
    ['ZX001', 'data_refused'],
    ['42601', 'unknown'],
    ['XX001', 'unknown'],
  ])('%s for %s', (sqlstate, code) => {
    expect(databaseFailure(reported(sqlstate)).code).toBe(code);
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
    ['of the protocol', reported('08P01'), false],
    ['of the network that looks like an SQLSTATE', raised('EPIPE'), false],
    ['of the network', raised('ECONNRESET'), false],
    ['of our own clock', new Error('Query read timeout'), false],
  ])('%s', (_, error, isTrusted) => {
    expect(isReportedByServer(error)).toBe(isTrusted);
  });
});
