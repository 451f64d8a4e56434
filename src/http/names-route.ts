import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { Failure, toFailure } from '../domain/failure.ts';
import type { Names, NamesQuery, Store } from '../domain/store.ts';
import { completenessHeaders, headersOf } from './completeness.ts';
import type { Gate } from './gate.ts';
import { problemAnswer } from './problem.ts';
import { createNamePattern, onlyThese } from './views/read-query.ts';

/** As many as a person looks through. */
const limitDefault = 100;

/** Each costs a few descents of an index for every week that is kept. */
const limitMax = 1_000;

const limitProblem = `expected a whole number from 1 to ${limitMax}`;

const answer = z
  .array(
    z.object({
      name: z.string(),
      units: z.string().nullable().openapi({ description: 'Of its statistics other than the count; null: unknown.' }),
      first: z.number().openapi({ description: 'First bucket that holds a summary, in Unix seconds.' }),
      last: z.number().openapi({ description: 'Last bucket that holds a summary, in Unix seconds.' }),
    }),
  )
  .openapi('Names', { description: 'Ascending by their bytes.' });

export interface NamesRouteOptions {
  readonly store: Store;
  /** Unix seconds. */
  readonly now: () => number;
  /** Undefined: kept for ever. */
  readonly retentionSeconds: number | undefined;
  /** That of all reads. */
  readonly gate: Gate;
}

/** Adds the search for metric names to an app. */
export function addNamesRoute(app: OpenAPIHono, { store, now, retentionSeconds, gate }: NamesRouteOptions): void {
  const route = createRoute({
    method: 'get',
    path: '/metrics/names',
    summary: 'Find metric names',
    description: 'The names that match and hold a summary in any of the databases, and the time that each covers.',
    request: {
      query: onlyThese({
        match: createNamePattern('match', 'matched anywhere in the name. Left out: every name.'),
        limit: z
          .string()
          .default(String(limitDefault))
          .refine((text) => /^\d{1,4}$/.test(text) && Number(text) >= 1 && Number(text) <= limitMax, {
            error: limitProblem,
          })
          .transform(Number)
          .openapi({ param: { name: 'limit', in: 'query' }, description: `How many at most, up to ${limitMax}.` }),
      }),
    },
    responses: {
      200: {
        description: 'M2pg-More: true when more names match than the limit.',
        content: { 'application/json': { schema: answer } },
        headers: completenessHeaders.extend({ 'M2pg-More': z.enum(['true', 'false']) }),
      },
      422: problemAnswer('A parameter is wrong.'),
      503: problemAnswer('No database answered, or too many reads are waiting.'),
    },
  });

  app.openapi(route, async (c) => {
    const { match: namePattern, limit } = c.req.valid('query');
    const from = retentionSeconds === undefined ? 0 : now() - retentionSeconds;
    const leave = await gate.enter();
    const found = await findNames(store, { namePattern, from, limit }).finally(leave);
    return c.json([...found.names], 200, { ...headersOf(found), 'M2pg-More': String(found.more) });
  });
}

/** What only the databases can find wrong with the pattern is said of the parameter that it came by. */
async function findNames(store: Store, query: NamesQuery): Promise<Names> {
  try {
    return await store.names(query);
  } catch (error) {
    const { code, message, cause } = toFailure(error);
    if (code !== 'invalid_pattern' && code !== 'read_too_slow') throw error;
    throw new Failure(code, message, { cause, problems: [{ path: 'match', message }] });
  }
}
