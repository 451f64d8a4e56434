import { z } from '@hono/zod-openapi';
import { invalidRequest } from '../../domain/failure.ts';
import { instantSpellings, millisecondsHint, parseTimeBound } from '../../domain/instant.ts';
import { namePatternProblem } from '../../domain/name-pattern.ts';
import {
  bucketsBetween,
  finestResolution,
  isTimezone,
  parseResolution,
  type Resolution,
  resolutionSpellings,
} from '../../domain/resolution.ts';

/** As many points as Prometheus gives of one series: more than any screen has pixels. */
const bucketsMax = 11_000;

/** Each is a column more of the answer. */
const percentilesMax = 20;

const percentiles = z
  .string()
  .optional()
  .transform((text, context): readonly number[] => {
    const listed = text?.split(',') ?? [];
    const percents = listed.map((one) => (/^\d{1,3}(\.\d{1,6})?$/.test(one) ? Number(one) : Number.NaN));
    if (listed.length <= percentilesMax && percents.every((percent) => percent <= 100)) {
      // Those two are part of every answer.
      return [...new Set(percents)].filter((percent) => percent !== 95 && percent !== 99);
    }
    const message = `expected up to ${percentilesMax} numbers between 0 and 100, such as 50,90,99.9`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .openapi({
    param: { name: 'perc', in: 'query' },
    description:
      'Percentiles to be given besides, each as `perc` and its number: of the buckets whose summaries all carry a sketch.',
    example: '50,90,99.9',
  });

/** What a time in a query may look like. */
export const boundSpellings = `${instantSpellings}, now, or relative: -90s -15m -1h -7d -2w`;

/** A time in a query, as Unix seconds. @param spelling Of what is meant when it is left out. */
export function createTimeBound(now: () => number, spelling: () => string) {
  return z
    .string()
    .default(spelling)
    .transform((text, context) => {
      const instant = parseTimeBound(text, now());
      if (instant !== undefined) return instant;
      const hint = millisecondsHint(text, (seconds) => seconds > 1e8 && seconds < 4e9);
      context.addIssue({ code: 'custom', message: `expected ${boundSpellings}${hint}` });
      return z.NEVER;
    });
}

/** A query with these parameters and no others. Ignoring an unknown one would answer another question than was asked. */
export function onlyThese<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ');
  const error = ({ code }: { readonly code: string }) =>
    code === 'unrecognized_keys' ? `unknown parameter; known are ${known}` : undefined;
  return z.strictObject(shape, { error });
}

/** A parameter that is matched against names. @param meaning What the OpenAPI document adds about it. */
export function createNamePattern(parameter: string, meaning: string) {
  return z
    .string()
    .optional()
    .superRefine((text, context) => {
      const problem = text === undefined ? undefined : namePatternProblem(text);
      if (problem) context.addIssue({ code: 'custom', message: problem });
    })
    .openapi({
      param: { name: parameter, in: 'query' },
      description: `POSIX regular expression as of PostgreSQL, ${meaning}`,
      example: '^foo\\.',
    });
}

/** The query of a read, as `GET /metrics` takes it. It validates, and the OpenAPI document is generated from it. */
export function createReadQuery(now: () => number) {
  return z.object({
    name: createNamePattern('name', 'matched anywhere in the name. Left out: every name.'),
    from: createTimeBound(now, () => '-1h').openapi({
      param: { name: 'from', in: 'query' },
      description: `First instant, inclusive: ${boundSpellings}.`,
    }),
    to: createTimeBound(now, () => 'now').openapi({
      param: { name: 'to', in: 'query' },
      description: `Last instant, inclusive: ${boundSpellings}.`,
    }),
    resolution: z
      .string()
      .default('minute')
      .transform((text, context): Resolution => {
        const resolution = parseResolution(text);
        if (resolution) return resolution;
        context.addIssue({ code: 'custom', message: `expected ${resolutionSpellings}` });
        return z.NEVER;
      })
      .openapi({
        param: { name: 'resolution', in: 'query' },
        description: `Width of a bucket: ${resolutionSpellings}.`,
      }),
    timezone: z
      .string()
      .default('UTC')
      .refine(isTimezone, { error: 'expected an IANA name such as Europe/Berlin' })
      .openapi({
        param: { name: 'timezone', in: 'query' },
        description: 'IANA name; the zone whose days, weeks, months and years are meant.',
      }),
    perc: percentiles,
    accuracy: z
      .enum(['true', 'false'], { error: 'expected true or false' })
      .default('false')
      .transform((text) => text === 'true')
      .openapi({
        param: { name: 'accuracy', in: 'query' },
        description:
          'true: each value tells how near it is to that of all values in the bucket: exact, within_1_percent (median and ' +
          'percentiles of several summaries that all carry a sketch) or upper_bound (those of several of which some do not).',
      }),
    partial: z
      .enum(['allow', 'refuse'], { error: 'expected allow or refuse' })
      .default('allow')
      .openapi({
        param: { name: 'partial', in: 'query' },
        description: 'refuse: 503 rather than an answer that may lack summaries.',
      }),
    format: z
      .enum(['json', 'csv'], { error: 'expected json or csv' })
      .optional()
      .openapi({
        param: { name: 'format', in: 'query' },
        description: 'json, or csv as a file to be saved. Left out: what the Accept header prefers, else JSON.',
      }),
  });
}

/** A query that was validated: defaults filled in, times in Unix seconds. */
export type ReadQuery = z.output<ReturnType<typeof createReadQuery>>;

/**
 * Checks a range against the limits of an answer.
 *
 * @throws Failure `invalid_request` that suggests what would fit.
 */
export function checkRange({ from, to, resolution }: ReadQuery): void {
  if (from > to) throw invalidRequest({ path: 'from', message: 'is later than to' });
  const buckets = bucketsBetween(from, to, resolution);
  if (buckets <= bucketsMax) return;
  const message = `gives ${buckets} buckets, at most ${bucketsMax} are answered; try ${finestResolution(from, to, bucketsMax)}, or a shorter range`;
  throw invalidRequest({ path: 'resolution', message });
}
