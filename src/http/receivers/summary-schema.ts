import { z } from '@hono/zod-openapi';
import { instantSpellings, millisecondsHint, parseInstant } from '../../domain/instant.ts';
import { binsOf, sketchOf } from '../../domain/sketch.ts';
import { fitSketch, keepSketch, type SentSketch } from '../../domain/sketch-fit.ts';
import { type SketchFromProto, sketchFromProto, sketchToProto } from '../../domain/sketch-proto.ts';
import {
  type Content,
  isUnits,
  nameBytesMax,
  nameProblem,
  statisticNames,
  storedNameProblem,
  unitsBytesMax,
} from '../../domain/summary.ts';
import { type TimeLimits, timeProblem } from '../../domain/taken-times.ts';

/** Beyond it, sums of a few values leave the range of double precision and the read would fail. */
const magnitudeMax = 1e300;

/** Beyond it, whole numbers are no longer exact. */
const countMax = 2 ** 53;

const expected = 'expected a finite number';

/** Well-formed, no control characters, and as many bytes as characters. */
const usualName = /^[ -~]{1,255}$/;

function isStatistic(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= magnitudeMax;
}

function describeMissing(issue: { input?: unknown }): string {
  return issue.input === undefined
    ? `missing; a summary has all of ${statisticNames.join(', ')}, a raw point has value instead`
    : expected;
}

const statistic = z
  .number({ error: describeMissing })
  .min(-magnitudeMax, { error: `magnitude must be at most ${magnitudeMax}` })
  .max(magnitudeMax, { error: `magnitude must be at most ${magnitudeMax}` });

/** A string that is checked as a name. */
function nameSchema(problemOf: (name: string) => string | undefined) {
  return z
    .string({ error: (issue) => (issue.input === undefined ? 'missing; expected a string' : 'expected a string') })
    .superRefine((text, context) => {
      const problem = problemOf(text);
      if (problem) context.addIssue({ code: 'custom', message: problem });
    });
}

/** The name of a metric, as it is accepted. */
export const metricName = nameSchema(nameProblem).openapi({
  example: 'foo.web.requests',
  description:
    'Metric name, 1–255 bytes of UTF-8, no control characters, line separators or characters that change the direction of writing.',
  minLength: 1,
  maxLength: nameBytesMax,
});

/** The name of a metric that may be stored already, accepted by any version. */
export const storedName = nameSchema(storedNameProblem).openapi({ minLength: 1, maxLength: nameBytesMax });

/** Turns a received sketch into the one that is stored. */
type ToSketch = typeof fitSketch;

/** Undefined: the schema is to decide. */
function withMore(content: Content, sketch: unknown, units: unknown, toSketch: ToSketch): Content | undefined {
  if (units !== undefined && !(typeof units === 'string' && isUnits(units))) return undefined;
  const known = units === undefined ? content : { ...content, units };
  if (sketch === undefined) return known;
  const read = typeof sketch === 'string' ? readSketchField(sketch) : undefined;
  const fitted = read && !('problem' in read) ? toSketch(read, content) : undefined;
  return fitted && !('problem' in fitted) ? { ...known, sketch: fitted.sketch } : undefined;
}

function readSketchField(text: string): SketchFromProto {
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  return isBase64 ? sketchFromProto(Buffer.from(text, 'base64')) : { problem: 'is not base64' };
}

const units = z
  .string({ error: 'expected a string such as "ms"' })
  .refine((text) => text === '' || isUnits(text), {
    error: `expected 1 to ${unitsBytesMax} bytes of UTF-8 without control characters or characters that change the direction of writing`,
  })
  .nullable()
  .openapi({
    example: 'ms',
    description: `Of the values, up to ${unitsBytesMax} bytes. Kept with the series: the latest that was sent.`,
  });

const sketch = z
  .string({ error: 'expected a DDSketch: its protobuf message in base64' })
  .transform((text, context) => {
    const read = readSketchField(text);
    if (!('problem' in read)) return read;
    context.addIssue({
      code: 'custom',
      message: `${read.problem}; expected a DDSketch: its protobuf message in base64`,
    });
    return z.NEVER;
  })
  .openapi({
    description:
      'A DDSketch of the values with relative accuracy 0.01, as protobuf in base64: with it percentiles of several summaries ' +
      'together are within 1 % of the exact ones. Its lowest and highest bin must hold min and max.',
    example: Buffer.from(sketchToProto(sketchOf(binsOf([4.25]))) ?? []).toString('base64'),
  });

/**
 * Reads what nearly all summaries are, a name in ASCII and a bucket in seconds, in a fraction of the time of the schema
 * and with the same result. Undefined: the schema is to decide, and to say what is wrong.
 */
function readUsual(
  item: unknown,
  problemOf: (bucket: number) => string | undefined,
  toSketch: ToSketch,
): Content | undefined {
  if (typeof item !== 'object' || item === null || Object.hasOwn(item, 'value')) return undefined;
  const given = item as Readonly<Record<string, unknown>>;
  const { name, bucket, count, mean, median, min, max, perc95, perc99, last, sketch, units } = given;
  const isUsual =
    typeof name === 'string' &&
    usualName.test(name) &&
    typeof bucket === 'number' &&
    isStatistic(count) &&
    count >= 0 &&
    count <= countMax &&
    isStatistic(mean) &&
    isStatistic(median) &&
    isStatistic(min) &&
    isStatistic(max) &&
    isStatistic(perc95) &&
    isStatistic(perc99) &&
    isStatistic(last);
  if (!isUsual) return undefined;
  const instant = parseInstant(bucket);
  if (instant === undefined || problemOf(instant) !== undefined) return undefined;
  const content = { name, bucket: instant, count, mean, median, min, max, perc95, perc99, last };
  return sketch === undefined && units === undefined ? content : withMore(content, sketch, units, toSketch);
}

type Sent = Omit<Content, 'sketch' | 'units'> & {
  readonly sketch?: SentSketch | undefined;
  readonly units?: string | null | undefined;
};

function toContent(
  { sketch: sent, units: known, ...statistics }: Sent,
  context: z.RefinementCtx,
  toSketch: ToSketch,
): Content {
  const fitted = sent && toSketch(sent, statistics);
  if (fitted && 'problem' in fitted) {
    context.addIssue({ code: 'custom', path: ['sketch'], message: fitted.problem });
    return z.NEVER;
  }
  return { ...statistics, ...fitted, ...(known && { units: known }) };
}

export interface SummarySchemaOptions extends TimeLimits {
  /** Unix seconds. */
  readonly now: () => number;
  /** True for exported summaries: their sketches were fitted when they arrived, and stay as they are. */
  readonly isExported?: boolean;
}

/** The schemas of what `POST /metrics` takes. They validate it, and the OpenAPI document is generated from them. */
export function createSummarySchemas({ now, isExported = false, ...limits }: SummarySchemaOptions) {
  const toSketch = isExported ? keepSketch : fitSketch;
  const problemOf = (bucket: number) => timeProblem(bucket, now(), limits);

  const bucket = z
    .union([z.number(), z.string()], {
      error: (issue) => `${issue.input === undefined ? 'missing; ' : ''}expected ${instantSpellings}`,
    })
    .transform((value, context) => {
      const instant = parseInstant(value);
      const problem = instant === undefined ? `expected ${instantSpellings}` : problemOf(instant);
      if (instant !== undefined && problem === undefined) return instant;
      const hint = millisecondsHint(value, (seconds) => problemOf(seconds) === undefined);
      context.addIssue({ code: 'custom', message: `${problem}${hint}` });
      return z.NEVER;
    })
    .openapi({
      description: `Start of the period, as ${instantSpellings}. Not before 1970, nor older than AGE_MAX and RETENTION where those are set, nor over 1 hour ahead.`,
      example: Math.floor(now() / 60) * 60,
    });

  const count = z
    .number({ error: describeMissing })
    .min(0, { error: 'must be at least 0' })
    .max(countMax, { error: 'must be at most 2^53' });

  const summary = z
    .object({
      name: metricName,
      bucket,
      units: units.optional(),
      sketch: sketch.optional(),
      count,
      mean: statistic,
      median: statistic,
      min: statistic,
      max: statistic,
      perc95: statistic,
      perc99: statistic,
      last: statistic,
    })
    .transform((given, context) => toContent(given, context, toSketch))
    .openapi('Summary', { description: 'The statistics of one metric over one bucket.' });

  const point = z
    .object({
      name: metricName,
      bucket: bucket.optional(),
      value: statistic,
      units: units.optional(),
    })
    .openapi('RawPoint', { description: 'A summary of one value: count 1, every statistic that value.' });

  return { summary, point, readUsual: (item: unknown) => readUsual(item, problemOf, toSketch) };
}

/** The schema of a summary, that of a raw point, and the short way. */
export type SummarySchemas = ReturnType<typeof createSummarySchemas>;
