import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { accepts } from 'hono/accepts';
import { Failure } from '../domain/failure.ts';
import type { Store } from '../domain/store.ts';
import type { TimeLimits } from '../domain/taken-times.ts';
import { type BodyLimits, readJson } from './body.ts';
import { addBulkRoute, ndjsonAnswer, ndjsonBody, ndjsonType } from './bulk-route.ts';
import { completenessHeaders, describeOutcomes, headersOf } from './completeness.ts';
import { createGate, type Gate } from './gate.ts';
import { addNamesRoute } from './names-route.ts';
import { answerInPieces } from './pieces.ts';
import { problemAnswer } from './problem.ts';
import { receiveMetrics, summariesMax } from './receivers/metrics.ts';
import { createSummarySchemas } from './receivers/summary-schema.ts';
import { securityHeaders } from './security-headers.ts';
import { metricsAnswer, namesMax, renderMetrics } from './views/metrics.ts';
import { csvType, renderMetricsCsv } from './views/metrics-csv.ts';
import { checkRange, createReadQuery, onlyThese, type ReadQuery } from './views/read-query.ts';

export interface MetricsRoutesOptions extends TimeLimits {
  readonly store: Store;
  /** Unix seconds. */
  readonly now: () => number;
  readonly bodyLimits: BodyLimits;
  /**
   * Ends bulk loads, which may take longer than a service that stops can wait, and reads that wait their turn, with the
   * Failure that is its reason.
   */
  readonly stopping?: AbortSignal;
  /** Reads at once; more wait their turn. Four when left out. */
  readonly readsMax?: number;
  /** How long a read may wait; ten seconds when left out. */
  readonly readWaitMs?: number;
  /** How long the sender of a bulk load may be silent; half a minute when left out. */
  readonly bulkIdleTimeoutMs?: number;
}

/** As many as a read pool of the usual size has connections; more would only wait for one. */
const readsMax = 4;

/** What waits holds a socket and little else. */
const readsWaitingMax = 100;

/** A dashboard that asks for all of its charts at once is not to be refused. */
const readWaitMs = 10_000;

/** Adds the write, the read and the search for names to an app. */
export function addMetricsRoutes(app: OpenAPIHono, options: MetricsRoutesOptions): void {
  const gate = createGate({
    insideMax: options.readsMax ?? readsMax,
    waitingMax: readsWaitingMax,
    waitMs: options.readWaitMs ?? readWaitMs,
    stopping: options.stopping,
    refuse: (inside, waiting) =>
      new Failure('too_many_reads', `${inside} reads are in progress and ${waiting} wait; try again later`),
  });
  addBulkRoute(app, options);
  addWrite(app, options);
  addRead(app, { ...options, gate });
  addNamesRoute(app, { ...options, gate });
}

const csvDescription =
  'RFC 4180: name, bucket, time, the eight statistics, percentiles that were asked for, units and, with accuracy=true, the accuracy ' +
  'of each value, a line for each name and bucket. A name that a spreadsheet would ' +
  'take for a formula has an apostrophe before it.';

function addWrite(app: OpenAPIHono, options: MetricsRoutesOptions): void {
  const { store, now, bodyLimits } = options;
  const schemas = createSummarySchemas(options);
  const one = z.union([schemas.summary, schemas.point]);

  app.openAPIRegistry.registerPath({
    method: 'post',
    path: '/metrics',
    summary: 'Store summaries',
    description:
      'Writes to every database at once and answers when WRITE_ACKS of them have committed. The body is read as JSON ' +
      `whatever its Content-Type says, unless that is ${ndjsonType}; Content-Encoding gzip is understood.`,
    request: {
      headers: z.object({
        'Idempotency-Key': z.string().min(1).max(255).optional().openapi({
          description: 'The same request sent again with the same key is stored once.',
        }),
      }),
      body: {
        required: true,
        content: {
          'application/json': { schema: z.union([one, z.array(one).max(summariesMax)]) },
          [ndjsonType]: { schema: ndjsonBody },
        },
      },
    },
    responses: {
      201: {
        description:
          'Stored: the UUID, an array of them or, of NDJSON, how many. M2pg-Copies tells in how many databases so far.',
        content: { 'application/json': { schema: z.union([z.uuid(), z.array(z.uuid()), ndjsonAnswer]) } },
        headers: z.object({ 'M2pg-Copies': z.string().openapi({ example: '1/2' }) }),
      },
      400: problemAnswer('The body is not JSON, not UTF-8 or not gzip.'),
      408: problemAnswer('The body stalled. Of NDJSON, `stored` tells how much was stored before.'),
      413: problemAnswer(`The body is over ${bodyLimits.bytesMax} bytes, or an array over ${summariesMax} summaries.`),
      415: problemAnswer('The Content-Encoding is not gzip.'),
      422: problemAnswer(
        'Valid JSON, invalid summary, or no line of NDJSON is valid. Nothing of the request is stored.',
      ),
      503: problemAnswer(
        'Not enough databases have committed in time. Try again after Retry-After. Of NDJSON, all valid lines up to ' +
          '`storedThroughLine` are stored; sent whole again with the same Idempotency-Key, each counts once.',
      ),
    },
  });

  app.post('/metrics', async (c) => {
    const body = await readJson(c.req, bodyLimits);
    if (Array.isArray(body) && body.length > summariesMax) {
      throw new Failure('body_too_large', `an array may hold at most ${summariesMax} summaries, not ${body.length}`);
    }
    const summaries = receiveMetrics(body, c.req.header('Idempotency-Key'), { schemas, now });
    const { copies, databases } = await store.write(summaries);
    const ids = summaries.map(({ id }) => id);
    // Its headers stay a plain object all the way to the socket; `c.header` would make a Headers of them and back.
    return new Response(JSON.stringify(Array.isArray(body) ? ids : ids[0]), {
      status: 201,
      headers: { ...securityHeaders, 'Content-Type': 'application/json', 'M2pg-Copies': `${copies}/${databases}` },
    });
  });
}

function addRead(app: OpenAPIHono, options: MetricsRoutesOptions & { readonly gate: Gate }): void {
  const { store, now, retentionSeconds, gate } = options;
  const route = createRoute({
    method: 'get',
    path: '/metrics',
    summary: 'Read metrics',
    description: 'Asks every database and counts every summary once.',
    request: { query: onlyThese(createReadQuery(now).shape) },
    responses: {
      200: {
        description: 'M2pg-Complete: false when a database did not answer whose summaries the others may lack.',
        content: {
          'application/json': { schema: metricsAnswer },
          'text/csv': { schema: z.string().openapi({ description: csvDescription }) },
        },
        headers: completenessHeaders,
      },
      422: problemAnswer('A parameter is wrong, or the answer would be too large.'),
      503: problemAnswer('No database answered, or not all that partial=refuse needs, or too many reads are waiting.'),
    },
  });

  app.openapi(route, async (c) => {
    const query = c.req.valid('query');
    checkRange(query);
    const { name: namePattern, to, resolution, timezone, perc: percentiles, accuracy, partial } = query;
    // Summaries past retention may still be there, until their whole week is: nobody sees them any more.
    const from = Math.max(query.from, retentionSeconds === undefined ? 0 : now() - retentionSeconds);
    const leave = await gate.enter();
    const found = await store
      .aggregate({ namePattern, from, to, resolution, timezone, percentiles, namesMax })
      .catch((error) => {
        leave();
        throw error;
      });
    const close = () => {
      leave();
      return found.close();
    };
    const completeness = headersOf(found);
    if (partial === 'refuse' && !found.complete) {
      await close();
      // They tell why it is refused.
      for (const [name, value] of Object.entries(completeness)) c.header(name, value);
      throw new Failure('incomplete', `the answer would be incomplete: ${describeOutcomes(found)}`);
    }
    const isCsv = wantsCsv(c, query);
    const pieces = (isCsv ? renderMetricsCsv : renderMetrics)(found.pages, { percents: percentiles, accuracy });
    const headers = { ...completeness, ...formatHeaders(isCsv, query) };
    // The type of the route is that of the text that the pieces make.
    return (await answerInPieces(c, pieces, { headers, close })) as never;
  });
}

function wantsCsv(c: Context, { format }: ReadQuery): boolean {
  const supports = ['application/json', 'text/csv'];
  c.header('Vary', 'Accept', { append: true });
  return (format ?? accepts(c, { header: 'Accept', supports, default: 'json' })).endsWith('csv');
}

function formatHeaders(isCsv: boolean, { format }: ReadQuery): Record<string, string> {
  return {
    'Content-Type': isCsv ? csvType : 'application/json',
    // Who asks by a link wants a file; a program that asks by Accept does not care.
    ...(format === 'csv' && { 'Content-Disposition': 'attachment; filename="m2pg-metrics.csv"' }),
  };
}
