import { type OpenAPIHono, z } from '@hono/zod-openapi';
import { invalidRequest, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Store } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';
import { oldestTaken, type TimeLimits } from '../domain/taken-times.ts';
import { type BodyLimits, readDecompressed } from './body.ts';
import { problemAnswer } from './problem.ts';
import { receiveLogs } from './receivers/logs/receive-logs.ts';
import { createSeriesUnits } from './receivers/logs/series-units.ts';
import { summariesMax } from './receivers/metrics.ts';
import { securityHeaders } from './security-headers.ts';

export interface LogsRouteOptions extends TimeLimits {
  readonly store: Store;
  /** Unix seconds. */
  readonly now: () => number;
  readonly bodyLimits: BodyLimits;
  readonly observe: Observe;
}

const defaultResolution = 60;
const resolutionMax = 86_400;

const drainQuery = z.object({
  prefix: z.string().optional().openapi({ description: 'Put before every name, with a dot.' }),
  'source-prefix': z.string().optional().openapi({ description: 'Put before every source, with a dot.' }),
  resolution: z
    .string()
    .optional()
    .openapi({
      description: `Of the buckets: whole seconds, 1 to ${resolutionMax}; ${defaultResolution} when left out.`,
    }),
});

/** Adds the receiver of log drains to an app. */
export function addLogsRoute(app: OpenAPIHono, options: LogsRouteOptions): void {
  const { store, now, bodyLimits, observe } = options;
  const unitsOf = createSeriesUnits((names) => store.units(names));
  describe(app, bodyLimits.bytesMax);
  app.post('/logs', async (c) => {
    const resolution = parseResolution(c.req.query('resolution'));
    const body = await readDecompressed(c.req, bodyLimits);
    const { summaries, ...received } = await receiveLogs(body, {
      prefix: c.req.query('prefix'),
      sourcePrefix: c.req.query('source-prefix'),
      resolution,
      batch: c.req.header('Logplex-Frame-Id') ?? c.req.header('X-Request-Id'),
      now: now(),
      unitsOf,
      oldest: oldestTaken(now(), options),
    });
    await write(store, summaries);
    observe({ type: 'logs_received', ...received });
    return new Response(null, { status: 200, headers: { ...securityHeaders, 'Content-Length': '0' } });
  });
}

/** @throws Failure `invalid_request`. */
function parseResolution(text: string | undefined): number {
  if (text === undefined) return defaultResolution;
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= resolutionMax) return seconds;
  throw invalidRequest({ path: 'resolution', message: `expected whole seconds between 1 and ${resolutionMax}` });
}

/**
 * What all databases refuse for what it is would be refused whenever it is sent again, and is in their quarantine: the rest of
 * the batch is not to suffer for it.
 */
async function write(store: Store, summaries: readonly Summary[]): Promise<void> {
  if (summaries.length === 0) return;
  await store.write(summaries).catch((error) => {
    if (toFailure(error).code !== 'summaries_refused') throw error;
  });
}

function describe(app: OpenAPIHono, bodyBytesMax: number): void {
  const batch = (sender: string) =>
    z
      .string()
      .optional()
      .openapi({ description: `Names the batch, from ${sender}: delivered again, it counts once.` });
  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/logs',
    summary: 'Receive a log drain',
    description:
      'Lines of syslog (RFC 5424), octet-counted as logplex and log-shuttle send them or one a line, whose pairs `measure#name=4ms`, ' +
      '`sample#name=21MB` and `count#name=2` become summaries, one of each name and bucket. Lines that hold nothing are nothing; what ' +
      'is broken is counted and shown by /-/status. Content-Encoding gzip is understood.',
    request: {
      query: drainQuery,
      headers: z.object({ 'Logplex-Frame-Id': batch('logplex'), 'X-Request-Id': batch('log-shuttle') }),
      body: { required: true, content: { 'application/logplex-1': { schema: z.string() } } },
    },
    responses: {
      200: { description: 'What the body holds is committed by WRITE_ACKS databases. The answer is empty.' },
      400: problemAnswer('The body ended early, or is not gzip.'),
      408: problemAnswer('The body stalled.'),
      413: problemAnswer(
        `The body is over ${bodyBytesMax} bytes, or of more than ${summariesMax} metrics and buckets.`,
      ),
      415: problemAnswer('The Content-Encoding is not gzip.'),
      422: problemAnswer('A query option is wrong.'),
      503: problemAnswer('Not enough databases have committed in time. The same batch, sent again, counts once.'),
    },
  });
}
