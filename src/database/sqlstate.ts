import { DatabaseError } from 'pg';
import { Failure, type FailureCode } from '../domain/failure.ts';
import { driverMeaning, type Meaning, networkMeaning, poolerMeaning } from './network-errors.ts';

/**
 * What PostgreSQL says, and what m2pg makes of it. Codes of two characters stand for the rest of their class; a class of
 * PostgreSQL that is missing here is `unknown`: a mistake of ours, whose words are in the log.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const meanings: Readonly<Record<string, Meaning>> = {
  '08': ['unreachable'], // Connection exception: connect anew.
  '09': ['data_refused'], // Triggered action exception: raised in a trigger, by an operator's own rule.
  '0A000': ['unsupported_database', 'lacks a feature that m2pg needs'], // The server is too old, or not PostgreSQL itself.
  '22': ['data_refused'], // Data exception: trying again would not help.
  '2201B': ['invalid_pattern'], // Invalid regular expression: the reader's to mend.
  '23502': ['series_missing'], // A null series_id: the name is not in the dictionary yet; add it, try again.
  '23505': ['conflict'], // Unique violation of a primary key: stored already, or a race between processes; try again.
  '23514': ['partition_missing'], // No partition for a bucket: create its week, try again.
  '23': ['data_refused'], // Any other integrity violation.
  '25006': ['read_only'], // A standby, or a server set read-only: readable still.
  '25P03': ['unreachable', 'ended a session that was idle in a transaction'], // Connect anew.
  '25P04': ['unreachable', 'ended a session by its transaction_timeout'], // Connect anew.
  '26000': ['session_lost', 'has lost a prepared statement'], // Something between us changed the session: connect anew.
  '27': ['data_refused'], // Triggered data change violation.
  '28': ['authentication'], // Wrong password or role, or pg_hba.conf refuses: retry slowly, an operator must act.
  '38': ['data_refused'], // External routine exception: raised in a trigger in another language.
  '39': ['data_refused'], // External routine invocation exception.
  '3D000': ['database_missing'], // The database does not exist (any more): an operator must act.
  '3F000': ['schema_missing'], // The schema was dropped: migrate.
  '40': ['conflict'], // Transaction rollback: serialization failure, deadlock, completion unknown; try again.
  '42501': ['permission_denied'], // The role lacks a privilege: an operator must act.
  '42703': ['schema_missing'], // A column is missing: restored from an old backup; migrate.
  '42704': ['schema_missing'], // A type or another object of ours is missing; migrate.
  '42883': ['schema_missing'], // A function of ours is missing; migrate.
  '42P01': ['schema_missing'], // A table is missing: emptied behind our back; migrate.
  '42P05': ['session_lost', 'has a prepared statement of another client'], // Likewise.
  '44': ['data_refused'], // With check option violation.
  '53': ['out_of_resources', 'is short of resources'],
  '53100': ['disk_full'], // Still readable; inserts succeed again once there is room.
  '53200': ['out_of_resources', 'is out of memory'],
  '53300': ['too_many_connections'], // The server's limit: do not open more.
  '53400': ['out_of_resources', 'has reached a limit of its configuration, such as temp_file_limit'],
  '54': ['data_refused'], // Program limit exceeded: a pattern or a statement too complex.
  '55P03': ['timeout', 'did not grant a lock in time'],
  '57': ['unreachable'], // Shut down or terminated by an operator, crashed, or idle for too long: connect anew.
  '57014': ['timeout'], // Cancelled by statement_timeout.
  '57P03': ['starting'], // Starting up, shutting down or in recovery: soon back.
  '58': ['io_error', 'reports an error of its system'], // System error, external to PostgreSQL itself.
  '58030': ['io_error', 'has a failing disk'],
  '58P01': ['damaged', 'lacks a file of its installation or of its data'], // "could not load library" as well.
  '58P02': ['damaged', 'has a file where there should be none'],
  '72000': ['conflict'], // Snapshot too old: try again.
  F0: ['damaged', 'has an error in its configuration file'],
  P0: ['data_refused'], // Raised in a trigger, by an operator's own rule.
  XX000: ['unknown', 'met an internal error'],
  XX001: ['damaged', 'has damaged data'],
  XX002: ['damaged', 'has a damaged index'],
};

/** The other classes of SQLSTATE that PostgreSQL itself raises: they say something of the server's state, or a mistake of ours. */
const otherClasses = '00 01 02 03 0A 0B 0F 0L 0P 0Z 10 20 21 24 25 26 2B 2D 2F 34 3B 3D 3F 42 55 72 F0 HV XX'.split(
  ' ',
);

const words: Partial<Record<FailureCode, string>> = {
  timeout: 'did not answer in time',
  unreachable: 'cannot be reached',
  starting: 'is starting up',
  authentication: 'refuses this user',
  permission_denied: 'lacks a privilege for this user; the log has the words of the server',
  database_missing: 'does not exist',
  tls: 'offers no acceptable TLS',
  too_many_connections: 'has no connection left',
  read_only: 'is read-only',
  disk_full: 'has no room left on its disk',
  schema_missing: 'lacks the tables of m2pg',
  data_refused: 'refused the data',
};

/** An error may wrap another, which may wrap another; whoever wraps deeper than this has made a circle. */
const chainMax = 8;

/** True when the server itself reported the error, so that the connection is whole and can be used on. */
export function isReportedByServer(error: unknown): boolean {
  // By its class: EPIPE has the looks of an SQLSTATE.
  if (!(error instanceof DatabaseError)) return false;
  return !/^(57P|08|25P0[34]|26000|42P05)/.test(error.code ?? '');
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

/** Turns whatever `pg`, the network or a library around them raised into a Failure; the original stays its cause. */
export function databaseFailure(error: unknown): Failure {
  const chain = chainOf(error);
  const known = chain.find((link) => link instanceof Failure);
  if (known) return known;
  // Codes decide wherever they are in the chain; words only where there is no code.
  const [code, said] = first(chain, meaningOfCode) ?? first(chain, meaningOfWords) ?? (['unknown'] as const);
  const detail = code === 'invalid_pattern' ? patternComplaint(chain) : (said ?? words[code] ?? 'failed');
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

/** The error, what it was caused by, and so on; of several that failed together the first tells. */
function chainOf(error: unknown): unknown[] {
  const chain: unknown[] = [];
  for (let link = error; link !== undefined && link !== null && chain.length < chainMax; ) {
    chain.push(link);
    link = link instanceof AggregateError ? link.errors[0] : link instanceof Error ? link.cause : undefined;
  }
  return chain;
}

function first(chain: readonly unknown[], meaningOf: (link: unknown) => Meaning | undefined): Meaning | undefined {
  for (const link of chain) {
    const meaning = meaningOf(link);
    if (meaning) return meaning;
  }
  return undefined;
}

function meaningOfCode(error: unknown): Meaning | undefined {
  const code = errorCode(error);
  if (code === undefined) return undefined;
  if (isOfOperator(code, error)) return ['data_refused'];
  const ofPooler = code === '08P01' ? poolerMeaning(messageOf(error)) : undefined;
  const sqlClass = code.length === 5 ? code.slice(0, 2) : '';
  return ofPooler ?? meanings[code] ?? networkMeaning(code) ?? meanings[sqlClass];
}

function meaningOfWords(error: unknown): Meaning | undefined {
  return driverMeaning(messageOf(error));
}

/** True when a constraint or a trigger refused a row that is none of ours: to try again would not help. */
function isOfOperator(code: string, error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  const sqlClass = code.slice(0, 2);
  const isMadeUp = code.length === 5 && meanings[sqlClass] === undefined && !otherClasses.includes(sqlClass);
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : '';
}

/** PostgreSQL's own words about a pattern speak of nothing but the pattern, so they may reach the client. */
function patternComplaint(chain: readonly unknown[]): string {
  const complaints = chain.flatMap(
    (link) => /^invalid regular expression: ([\x20-\x7e]{1,100})$/.exec(messageOf(link))?.[1] ?? [],
  );
  return complaints[0] ?? 'not a regular expression as PostgreSQL understands it';
}
