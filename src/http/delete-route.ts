import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Deleter } from '../domain/deletion.ts';
import { invalidRequest } from '../domain/failure.ts';
import { latestUnixSeconds } from '../domain/instant.ts';
import { problemAnswer } from './problem.ts';
import { storedName } from './receivers/summary-schema.ts';
import { boundSpellings, createTimeBound, onlyThese } from './views/read-query.ts';

export interface DeleteRouteOptions {
  readonly deleter: Deleter;
  /** Unix seconds. */
  readonly now: () => number;
}

const answer = z
  .object({
    deletion: z.uuid(),
    databases: z.record(
      z.string(),
      z.object({
        outcome: z
          .string()
          .openapi({ example: 'ok', description: 'Else why not; it follows when the database is back.' }),
        deleted: z.number().openapi({ description: 'Summaries, so far.' }),
        done: z.boolean().openapi({ description: 'false: the rest goes by and by.' }),
      }),
    ),
  })
  .openapi('Deletion');

/** Adds the deletion of a metric, or of part of its time, to an app. */
export function addDeleteRoute(app: OpenAPIHono, { deleter, now }: DeleteRouteOptions): void {
  const route = createRoute({
    method: 'delete',
    path: '/metrics',
    summary: 'Delete a metric',
    description:
      'Deletes the summaries of one metric name whose buckets are in a range from all databases. A database that is away deletes ' +
      'them when it is back. What was acknowledged before the request is deleted, what is sent after the answer stays.',
    request: {
      // A range that is misspelt would delete everything.
      query: onlyThese({
        name: z
          .string({ error: 'missing; expected the whole name of the metric that is to be deleted, not a pattern' })
          .pipe(storedName)
          .openapi({ param: { name: 'name', in: 'query' }, description: 'The whole name, not a pattern.' }),
        from: createTimeBound(now, () => '0').openapi({
          param: { name: 'from', in: 'query' },
          description: `First instant, inclusive: ${boundSpellings}. Left out: as old as there is.`,
        }),
        to: createTimeBound(now, () => String(latestUnixSeconds)).openapi({
          param: { name: 'to', in: 'query' },
          description: `Last instant, inclusive: ${boundSpellings}. Left out: as new as there is.`,
        }),
      }),
    },
    responses: {
      200: {
        description: 'Noted by WRITE_ACKS databases at least.',
        content: { 'application/json': { schema: answer } },
      },
      422: problemAnswer('A parameter is wrong.'),
      503: problemAnswer('Not enough databases have noted it. Try again after Retry-After.'),
    },
  });

  app.openapi(route, async (c) => {
    const query = c.req.valid('query');
    if (query.from > query.to) throw invalidRequest({ path: 'from', message: 'is later than to' });
    const { id, outcomes } = await deleter.delete(query);
    const databases = outcomes.map(
      ({ database, outcome, deleted, isDone }) => [database, { outcome, deleted, done: isDone }] as const,
    );
    return c.json({ deletion: id, databases: Object.fromEntries(databases) }, 200);
  });
}
