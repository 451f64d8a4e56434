import type { IncomingMessage } from 'node:http';
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { Failure } from '../domain/failure.ts';
import { summaryIds } from '../domain/summary-id.ts';
import { streamBody } from './body.ts';
import type { MetricsRoutesOptions } from './metrics-routes.ts';
import { problemResponse } from './problem.ts';
import { checkKey } from './receivers/metrics.ts';
import { type NdjsonOutcome, receiveNdjson } from './receivers/ndjson.ts';
import { createSummarySchemas } from './receivers/summary-schema.ts';
import { securityHeaders } from './security-headers.ts';

/** The Content-Type of a bulk load. */
export const ndjsonType = 'application/x-ndjson';

const path = '/metrics';

/** Others mean the same; none has been registered. */
const ndjsonTypes = /^application\/(x-)?(ndjson|jsonl|jsonlines)\s*(;|$)/i;

/** A sender that is silent for longer has most likely gone without a word. */
const idleTimeoutMs = 30_000;

/** The body of a bulk load in the OpenAPI document, whose schemas do not reach into lines. */
export const ndjsonBody = z.string().openapi({
  description:
    'One summary or raw point a line, any number of lines, at most 64 KiB each. BODY_BYTES_MAX does not apply. Lines ' +
    'that are invalid are refused one by one, the others are stored.',
  example: '{"name":"foo","bucket":1355202720,"value":1}\n{"name":"bar","bucket":1355202720,"value":2}\n',
});

/** The answer to a bulk load. */
export const ndjsonAnswer = z
  .object({
    stored: z.number().openapi({ description: 'Summaries.' }),
    refused: z.number().openapi({ description: 'Lines.' }),
    errors: z
      .array(z.object({ line: z.number(), path: z.string().optional(), message: z.string() }))
      .openapi({ description: 'Why, of the first 100 that were refused. Lines count from 1.' }),
  })
  .openapi('BulkLoad');

/** Adds the bulk load to an app: a write whose Content-Type says NDJSON. Other writes pass on to the next route. */
export function addBulkRoute(app: OpenAPIHono, options: MetricsRoutesOptions): void {
  const schemas = createSummarySchemas(options);

  app.post(path, (c, next) => {
    if (!isNdjson(c.req.header('Content-Type'))) return next();
    const key = c.req.header('Idempotency-Key');
    checkKey(key);
    const load = receiveNdjson(streamBody(c.req), {
      store: options.store,
      schemas,
      now: options.now,
      idOf: summaryIds(key),
      isRepeatable: key !== undefined,
      idleTimeoutMs: options.bulkIdleTimeoutMs ?? idleTimeoutMs,
      ...(options.stopping && { signal: options.stopping }),
    });
    return load.then((outcome) => answer(c, outcome));
  });
}

/** True for the request of a bulk load, as it came: such may take any time, others with its Content-Type may not. */
export function isBulkLoad({ method, url = '', headersDistinct }: IncomingMessage): boolean {
  // `headers` holds only the first of several, while the route sees all of them.
  const contentType = headersDistinct['content-type']?.join(', ');
  return method === 'POST' && isNdjson(contentType) && URL.parse(url, 'http://localhost')?.pathname === path;
}

function isNdjson(contentType: string | undefined): boolean {
  return contentType !== undefined && ndjsonTypes.test(contentType);
}

function answer(
  c: Context,
  { stored, storedThroughLine, refused, refusals, copies, failure }: NdjsonOutcome,
): Response {
  if (copies) c.header('M2pg-Copies', `${copies.copies}/${copies.databases}`);
  const counts = { stored, refused, errors: refusals };
  if (failure) {
    // The rest of the body is not read.
    c.header('Connection', 'close');
    return problemResponse(c, failure, { ...counts, storedThroughLine });
  }
  if (stored === 0 && refused > 0)
    return problemResponse(c, new Failure('invalid_request', `all ${refused} lines are refused`), counts);
  return c.json(counts, 201, securityHeaders);
}
