import { DatabaseError } from 'pg';
import { Failure, type FailureCode } from '../domain/failure.ts';

/**
 * What PostgreSQL says, and what m2pg makes of it. Codes of two characters stand for their whole class.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const codeOf: Readonly<Record<string, FailureCode>> = {
  '08': 'unreachable', // Connection exception: connect anew.
  '09': 'data_refused', // Triggered action exception: raised in a trigger, by an operator's own rule.
  '0A000': 'unsupported_database', // Feature not supported: the server is too old.
  '22': 'data_refused', // Data exception: trying again would not help.
  '2201B': 'invalid_pattern', // Invalid regular expression: the reader's to mend.
  '23502': 'series_missing', // A null series_id: the name is not in the dictionary yet; add it, try again.
  '23505': 'conflict', // Unique violation of a primary key: stored already, or a race between processes; try again.
  '23514': 'partition_missing', // No partition for a bucket: create its week, try again.
  '23': 'data_refused', // Any other integrity violation.
  '25006': 'read_only', // A standby, or a server set read-only: readable still.
  '27': 'data_refused', // Triggered data change violation.
  '28': 'authentication', // Wrong password or role, or pg_hba.conf refuses: retry slowly, an operator must act.
  '38': 'data_refused', // External routine exception: raised in a trigger in another language.
  '39': 'data_refused', // External routine invocation exception.
  '3D000': 'unreachable', // The database itself does not exist (any more).
  '3F000': 'schema_missing', // The schema was dropped: migrate.
  '40001': 'conflict', // Serialization failure: try again.
  '40P01': 'conflict', // Deadlock: try again.
  '42501': 'authentication', // The role lacks a privilege: an operator must act.
  '42703': 'schema_missing', // A column is missing: restored from an old backup; migrate.
  '42883': 'schema_missing', // A function of ours is missing; migrate.
  '42P01': 'schema_missing', // A table is missing: emptied behind our back; migrate.
  '44': 'data_refused', // With check option violation.
  '53100': 'disk_full', // Still readable; inserts succeed again once there is room.
  '53300': 'too_many_connections', // The server's limit: do not open more.
  '53': 'disk_full', // Other insufficient resources.
  '54': 'data_refused', // Program limit exceeded: a pattern or a statement too complex.
  '55P03': 'timeout', // Lock not available within lock_timeout.
  '57014': 'timeout', // Cancelled by statement_timeout.
  '57P03': 'starting', // Starting up, shutting down or in recovery: soon back.
  '57': 'unreachable', // Shut down or terminated by an operator: connect anew.
  '58': 'disk_full', // System error, I/O: the disk is in trouble.
  P0: 'data_refused', // Raised in a trigger, by an operator's own rule.
  XX: 'unknown', // Internal error or corrupted data.
};

/** The other classes of SQLSTATE that PostgreSQL itself raises: what they tell is the server's state, or a mistake of ours. */
const otherClasses = '00 01 02 03 0A 0B 0F 0L 0P 0Z 10 20 21 24 25 26 2B 2D 2F 34 3B 3D 3F 40 42 55 72 F0 HV'.split(
  ' ',
);

/** What the network and TLS say (Node's codes), and what m2pg makes of it. */
const networkCodeOf: Readonly<Record<string, FailureCode>> = {
  ETIMEDOUT: 'timeout',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EPIPE: 'unreachable',
  ECONNABORTED: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETDOWN: 'unreachable',
  EINVAL: 'unreachable', // A route that leads nowhere (blackhole).
  EACCES: 'unreachable', // A route that is prohibited, or a Unix socket of somebody else.
  EPERM: 'unreachable', // A firewall of this machine.
  EADDRNOTAVAIL: 'unreachable', // No port is left for another connection.
  EMFILE: 'unreachable', // No file descriptor is left.
  ENOENT: 'unreachable', // A Unix socket that is not there.
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls',
  CERT_HAS_EXPIRED: 'tls',
  ERR_TLS_CERT_ALTNAME_INVALID: 'tls',
};

/** Errors that `pg` raises without a code, by what they say. */
const driverMessages: readonly (readonly [RegExp, FailureCode])[] = [
  [/timeout/i, 'timeout'],
  [/\bSSL\b|certificate/i, 'tls'],
  [/SASL|SCRAM|password/i, 'authentication'],
  [/terminated|closed|not queryable|after calling end/i, 'unreachable'],
];

const meaning: Partial<Record<FailureCode, string>> = {
  timeout: 'did not answer in time',
  unreachable: 'cannot be reached',
  starting: 'is starting up',
  authentication: 'refuses this user',
  tls: 'offers no acceptable TLS',
  too_many_connections: 'has no connection left',
  read_only: 'is read-only',
  disk_full: 'has no room left or a failing disk',
  schema_missing: 'lacks the tables of m2pg',
  data_refused: 'refused the data',
};

/** True when the server itself reported the error, so that the connection is whole and can be used on. */
export function isReportedByServer(error: unknown): boolean {
  // By its class: EPIPE has the looks of an SQLSTATE.
  if (!(error instanceof DatabaseError)) return false;
  return !error.code?.startsWith('57P') && !error.code?.startsWith('08');
}

/** True when the server itself ended a statement that took too long: it is alive, and the statement at fault. */
export function isGivenUpByServer({ code, cause }: Failure): boolean {
  return code === 'timeout' && cause instanceof DatabaseError && cause.code === '57014';
}

/** True when the server gave up waiting for a lock, after `lock_timeout`: nothing is wrong with it or with the statement. */
export function isLocked({ cause }: Failure): boolean {
  return cause instanceof DatabaseError && cause.code === '55P03';
}

/** True when a constraint refused a row: the row is at fault, not the state of the database. */
export function isOfConstraint({ cause }: Failure): boolean {
  return cause instanceof DatabaseError && cause.code?.startsWith('23') === true && cause.constraint !== undefined;
}

/** Turns whatever `pg` or the network raised into a Failure; the original stays its cause. */
export function databaseFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const code = classify(error);
  const detail = code === 'invalid_pattern' ? patternComplaint(error) : (meaning[code] ?? 'failed');
  return new Failure(code, detail, { cause: error });
}

/** What a failure says about a statement: about what it carries, or about what it needs. */
const verdicts: readonly FailureCode[] = [
  'conflict',
  'data_refused',
  'invalid_pattern',
  'partition_missing',
  'series_missing',
];

/**
 * As `databaseFailure`, for what is done before a statement or beside it: to connect, to log in, to migrate, to make names and
 * weeks. Whatever its SQLSTATE, which triggers and event triggers choose as they like, such a failure is no verdict on the
 * statement: its code is none of those.
 */
export function readinessFailure(error: unknown, detail = 'cannot be made ready for use'): Failure {
  const failure = databaseFailure(error);
  if (!verdicts.includes(failure.code)) return failure;
  return new Failure('preparation_failed', detail, { cause: failure.cause ?? failure });
}

function classify(error: unknown): FailureCode {
  const code = errorCode(error) ?? '';
  if (isOfOperator(code, error)) return 'data_refused';
  const sqlClass = code.length === 5 ? code.slice(0, 2) : '';
  const known = codeOf[code] ?? networkCodeOf[code] ?? codeOf[sqlClass];
  if (known !== undefined) return known;
  // Several addresses were tried and all failed: the first tells.
  if (error instanceof AggregateError && error.errors.length > 0) return classify(error.errors[0]);
  const message = error instanceof Error ? error.message : '';
  return driverMessages.find(([pattern]) => pattern.test(message))?.[1] ?? 'unknown';
}

/** True when a constraint or a trigger refused a row that is none of ours: to try again would not help. */
function isOfOperator(code: string, error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  const sqlClass = code.slice(0, 2);
  const isMadeUp = code.length === 5 && codeOf[sqlClass] === undefined && !otherClasses.includes(sqlClass);
  if (isMadeUp || !error.constraint) return isMadeUp;
  // Only a constraint has a name. Ours can only say that a partition is missing.
  if (code === '23514') return true;
  // Ours are primary keys, each partition with its own, and those of the catalogue, when two create the same table at once.
  return code === '23505' && error.schema !== 'pg_catalog' && !error.constraint.endsWith('_pkey');
}

function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** PostgreSQL's own words about a pattern speak of nothing but the pattern, so they may reach the client. */
function patternComplaint(error: unknown): string {
  const [, complaint] =
    /^invalid regular expression: ([\x20-\x7e]{1,100})$/.exec(error instanceof Error ? error.message : '') ?? [];
  return complaint ?? 'not a regular expression as PostgreSQL understands it';
}
