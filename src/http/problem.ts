import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Failure, FailureCode } from '../domain/failure.ts';

/** Where a request may be refused, and how. A failure of a single database reaches no client by itself. */
const answers: Partial<Record<FailureCode, readonly [ContentfulStatusCode, string]>> = {
  malformed_body: [400, 'Malformed body'],
  unsupported_encoding: [415, 'Unsupported content encoding'],
  body_too_large: [413, 'Body too large'],
  body_stalled: [408, 'Body stalled'],
  unauthenticated: [401, 'Not authenticated'],
  forbidden: [403, 'Forbidden'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'Method not allowed'],
  invalid_request: [422, 'Invalid request'],
  invalid_pattern: [422, 'Invalid name pattern'],
  read_too_large: [422, 'Read too large'],
  read_too_slow: [422, 'Read too slow'],
  read_refused: [422, 'Read refused'],
  summaries_refused: [422, 'Refused by the databases'],
  too_few_copies: [503, 'Not enough databases have committed'],
  incomplete: [503, 'Not every database answered'],
  stopping: [503, 'Stopping'],
  too_many_reads: [503, 'Too many reads at once'],
  too_many_bodies: [503, 'Too many bodies at once'],
  no_database: [503, 'No database answered'],
};

/** What the databases alone can find wrong with a read, and its parameter to be changed, unless the failure names another. */
const paths: Partial<Record<FailureCode, string>> = {
  invalid_pattern: 'name',
  read_too_large: 'name',
  read_too_slow: 'name',
};

/** Long enough for a database that restarts to be back, short enough that a client's buffer does not overflow. */
const retryAfterSeconds = '2';

/**
 * Answers a failure as problem JSON (RFC 9457); `errors` names every field that is wrong.
 *
 * @param members What else the answer is to hold, or to hold instead.
 */
export function problemResponse(c: Context, failure: Failure, members: object = {}): Response {
  const [status, title] = answers[failure.code] ?? [500, 'Internal error'];
  if (status === 503) c.header('Retry-After', retryAfterSeconds);
  if (status === 401) c.header('WWW-Authenticate', 'Bearer realm="m2pg", Basic realm="m2pg", charset="UTF-8"');
  const path = paths[failure.code];
  const isOfRead = path !== undefined && failure.problems.length === 0;
  const errors = isOfRead ? [{ path, message: failure.message }] : failure.problems;
  const problem = {
    type: `urn:m2pg:problem:${failure.code}`,
    title,
    status,
    detail: status === 500 ? 'An unexpected error; the log of the service holds it.' : failure.message,
    ...(errors.length > 0 && { errors }),
    ...members,
  };
  return c.body(JSON.stringify(problem), status, { 'Content-Type': 'application/problem+json' });
}

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number(),
    detail: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .openapi('Problem', { description: 'Problem details (RFC 9457).' });

/** A problem as an answer in the OpenAPI document. */
export function problemAnswer(description: string) {
  return { description, content: { 'application/problem+json': { schema: problemSchema } } };
}
