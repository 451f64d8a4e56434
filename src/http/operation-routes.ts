import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';

/** What the service tells about itself. Each call answers at once, from what is known. */
export interface Operation {
  /** True: as many databases take writes as an answer needs, and the service is not stopping. */
  isReady(): boolean;
  status(): Status;
  /** In the Prometheus text format. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

const statusAnswer = z
  .object({
    version: z.string(),
    ready: z.boolean(),
    writeAcks: z.number(),
    acks: z
      .object({
        writes: z.number().openapi({
          description:
            'Commits that a write waits for: WRITE_ACKS; more while other services do not know yet of a lower one.',
        }),
        reads: z.number().openapi({
          description:
            'The least WRITE_ACKS that anything stored may have been acknowledged with: decides what is complete.',
        }),
      })
      .openapi({ description: 'Of all services of these databases.' }),
    keeps: z
      .object({
        retentionDays: z.number().nullable().openapi({ description: 'null: for ever' }),
        packAfterDays: z.number().nullable().openapi({ description: 'null: never' }),
      })
      .openapi({ description: 'The longest RETENTION and PACK_AFTER of all services of these databases.' }),
    clocks: z
      .object({
        differenceMs: z.number(),
        message: z.string().nullable().openapi({ description: 'null: they agree to within 2 s.' }),
      })
      .openapi({
        description: 'Of this service and its databases: how far any two of them differ, beyond round trips.',
      }),
    warnings: z.array(z.string()).openapi({
      description:
        'What an operator is to do something about: clocks that differ, weeks past RETENTION that are held back.',
    }),
    uptimeSeconds: z.number(),
    repair: z.object({
      lookedAt: z.string().nullable().openapi({
        description: 'When the databases were compared last; null: another process does so.',
      }),
    }),
    logs: z
      .object({
        lines: z.number(),
        values: z.number(),
        broken: z.number().openapi({ description: 'Lines and pairs that could not be understood.' }),
        brokenLast: z
          .array(z.object({ problem: z.string(), text: z.string() }))
          .openapi({ description: 'The first of those in the last request that had any.' }),
        droppedUpstream: z.record(z.string(), z.number()).openapi({
          description: 'Lines that logplex or log-shuttle has lost, as it tells: L10, L12, L13.',
        }),
      })
      .openapi({ description: 'Of POST /logs, since the start of the process that answers.' }),
    databases: z.array(
      z.object({
        name: z.string().openapi({ example: 'db1' }),
        state: z.enum(['starting', 'up', 'read_only', 'down', 'refused']),
        since: z.string().nullable().openapi({ description: 'When it began to be so; null: at the start.' }),
        lastFailure: z.object({ code: z.string(), message: z.string(), at: z.string() }).nullable(),
        roundTripMs: z.number().nullable(),
        version: z.string().nullable(),
        tls: z.string().nullable().openapi({ description: 'off, unverified or verified' }),
        pooler: z
          .boolean()
          .nullable()
          .openapi({ description: 'true: connections go through a pooler, in session mode' }),
        fsync: z.boolean().nullable().openapi({ description: 'false: a power failure loses acknowledged summaries' }),
        clockOffsetMs: z.number().nullable().openapi({
          description: 'How far its clock is ahead of that of the service; null: it cannot be reached.',
        }),
        caughtUp: z.boolean().openapi({
          description:
            'false: not found equal to the others since it was added, emptied or restored; a read needs others.',
        }),
        weeksHeldBack: z.number().openapi({
          description: 'Weeks past RETENTION that are more than it drops unasked; "m2pg gc --drop" drops them.',
        }),
        writes: z
          .object({ ok: z.number(), failed: z.number() })
          .openapi({ description: 'Since the start of the process that answers, of which there may be several.' }),
        queue: z.number().openapi({ description: 'Summaries that wait in this process to be written to it.' }),
        repair: z.object({
          repairedAt: z.string().nullable().openapi({
            description: 'When this process copied summaries to it last; null: not since the start.',
          }),
          repaired: z.number().openapi({ description: 'Summaries that this process has copied to it since start.' }),
          behind: z.number().nullable().openapi({
            description: 'Summaries that it lacked at the last look, at least; null: not known to this process.',
          }),
        }),
      }),
    ),
  })
  .openapi('Status');

/** The answer of `/-/status`. */
export type Status = z.output<typeof statusAnswer>;

/** Adds what operators and their machines ask, under `/-/`. */
export function addOperationRoutes(app: OpenAPIHono, operation: Operation): void {
  const text = (description: string) => ({ description, content: { 'text/plain': { schema: z.string() } } });

  const healthy = createRoute({
    method: 'get',
    path: '/-/healthy',
    summary: 'Is the process alive?',
    responses: { 200: text('It is.') },
  });
  app.openapi(healthy, (c) => c.text('healthy\n', 200));

  const ready = createRoute({
    method: 'get',
    path: '/-/ready',
    summary: 'Can it take writes?',
    responses: { 200: text('At least WRITE_ACKS databases take writes.'), 503: text('Too few do, or it is stopping.') },
  });
  app.openapi(ready, (c) => (operation.isReady() ? c.text('ready\n', 200) : c.text('not ready\n', 503)));

  const status = createRoute({
    method: 'get',
    path: '/-/status',
    summary: 'How are the databases?',
    responses: {
      200: { description: 'One entry a database.', content: { 'application/json': { schema: statusAnswer } } },
    },
  });
  app.openapi(status, (c) => c.json(operation.status(), 200));

  const metrics = createRoute({
    method: 'get',
    path: '/-/metrics',
    summary: 'Telemetry of the service itself, for Prometheus',
    responses: { 200: text('Prometheus text format.') },
  });
  app.openapi(metrics, async (c) => {
    const { contentType, text: body } = await operation.metrics();
    return c.text(body, 200, { 'Content-Type': contentType });
  });
}
