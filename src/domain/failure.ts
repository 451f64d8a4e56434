/**
 * What can go wrong while m2pg operates, as one closed list. `http/problem.ts` maps the codes that reach a client to
 * a status, `database/sqlstate.ts` maps what PostgreSQL says to a code. A programmer's mistake is not here: it is an
 * Error that begins with `BUG:`.
 */
export type FailureCode =
  // The request.
  | 'malformed_body'
  | 'unsupported_encoding'
  | 'body_too_large'
  | 'body_stalled'
  | 'invalid_request'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'stopping'
  | 'too_many_reads'
  | 'too_many_bodies'
  // The whole store.
  | 'too_few_copies'
  | 'summaries_refused'
  | 'incomplete'
  | 'no_database'
  | 'read_too_large'
  | 'read_too_slow'
  | 'read_refused'
  // One database.
  | 'timeout'
  | 'unreachable'
  | 'starting'
  | 'authentication'
  | 'permission_denied'
  | 'database_missing'
  | 'tls'
  | 'too_many_connections'
  | 'session_lost'
  | 'read_only'
  | 'disk_full'
  | 'io_error'
  | 'damaged'
  | 'out_of_resources'
  | 'queue_full'
  | 'conflict'
  | 'series_missing'
  | 'partition_missing'
  | 'schema_missing'
  | 'schema_newer'
  | 'unsupported_database'
  | 'duplicate_database'
  | 'preparation_failed'
  | 'invalid_pattern'
  | 'data_refused'
  | 'unknown';

/** One thing that is wrong with a request, and where: `3.perc95` is the field perc95 of the fourth summary. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/** An operating failure. Its message may be shown to a client; its cause, a driver's error, only to the log. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: FailureCode;
  readonly problems: readonly Problem[];

  constructor(code: FailureCode, message: string, options: { cause?: unknown; problems?: readonly Problem[] } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.problems = options.problems ?? [];
  }
}

/** A request that is understood and refused: HTTP 422, with every problem named. */
export function invalidRequest(...problems: Problem[]): Failure {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new Failure('invalid_request', `${first?.path || 'request'}: ${first?.message}${more}`, { problems });
}

/** Any thrown value as a Failure, so that whoever catches can decide by code. */
export function toFailure(error: unknown): Failure {
  return error instanceof Failure ? error : new Failure('unknown', 'unexpected error', { cause: error });
}

/** Failures of a database that no retry mends: somebody has to act. */
export function isForOperator({ code }: Failure): boolean {
  return operatorCodes.has(code);
}

const operatorCodes: ReadonlySet<FailureCode> = new Set([
  'authentication',
  'permission_denied',
  'database_missing',
  'tls',
  'schema_newer',
  'unsupported_database',
  'duplicate_database',
  'preparation_failed',
]);

/** Failures of a write that the next write meets too, although reads may work: the state of the server, not the data. */
export function isRefusalOfWrites({ code }: Failure): boolean {
  return refusalsOfWrites.has(code);
}

const refusalsOfWrites: ReadonlySet<FailureCode> = new Set([
  'disk_full',
  'io_error',
  'damaged',
  'out_of_resources',
  'authentication',
  'permission_denied',
  'unknown',
]);
