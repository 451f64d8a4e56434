import { invalidRequest, type Problem } from '../../domain/failure.ts';
import { type Content, type Summary, statisticNames } from '../../domain/summary.ts';
import { summaryIds } from '../../domain/summary-id.ts';
import type { SummarySchemas } from './summary-schema.ts';

/** One request fits one transaction, and one transaction the write timeout. */
export const summariesMax = 10_000;

/** Enough to see what is wrong; a wrong array of 10,000 would else be answered with 90,000 lines. */
const problemsMax = 100;

const idempotencyKeyBytesMax = 255;

const noProblems: readonly Problem[] = [];

export interface ReceiveOptions {
  readonly schemas: SummarySchemas;
  /** Unix seconds: the bucket of a raw point that names none. */
  readonly now: () => number;
}

/**
 * Turns the JSON body of a write, a summary or an array of them, into summaries.
 *
 * @param idempotencyKey The request's header, if it has one.
 * @throws Failure `invalid_request` that names every problem, up to a hundred: then nothing of the request is stored.
 */
export function receiveMetrics(
  body: unknown,
  idempotencyKey: string | undefined,
  options: ReceiveOptions,
): readonly Summary[] {
  checkKey(idempotencyKey);
  const problems: Problem[] = [];
  const idOf = summaryIds(idempotencyKey);
  const receiveOne = (item: unknown, position: number, prefix: string): Summary | undefined => {
    const { content, found } = parseSummary(item, options, idempotencyKey !== undefined);
    for (const { path, message } of found) problems.push({ path: [prefix, path].filter(Boolean).join('.'), message });
    // What was parsed is ours alone, so it is completed rather than copied.
    return content && Object.freeze(Object.assign(content, { id: idOf(content, position) }));
  };
  const received = Array.isArray(body)
    ? body.map((item, index) => receiveOne(item, index, String(index)))
    : [receiveOne(body, 0, '')];
  if (problems.length > 0) throw refuse(problems);
  return received.filter((summary) => summary !== undefined);
}

function refuse(problems: readonly Problem[]) {
  const left = problems.length - problemsMax;
  const more = { path: '', message: `${left} more problems are not listed` };
  return invalidRequest(...problems.slice(0, problemsMax), ...(left > 0 ? [more] : []));
}

/** @throws Failure `invalid_request` when the value of the header is not one that is taken. */
export function checkKey(key: string | undefined): void {
  // The value of a header is a string of bytes, one character each.
  if (key === undefined || (key !== '' && key.length <= idempotencyKeyBytesMax)) return;
  throw invalidRequest({ path: 'Idempotency-Key', message: `expected 1 to ${idempotencyKeyBytesMax} bytes` });
}

/** Exactly one of `content` and a non-empty `found`. */
export interface Parsed {
  readonly content?: Content;
  readonly found: readonly Problem[];
}

/**
 * Checks one summary or raw point, a value from JSON.
 *
 * @param isRepeatable Its id comes from its content: a raw point then needs its bucket.
 */
export function parseSummary(item: unknown, { schemas, now }: ReceiveOptions, isRepeatable: boolean): Parsed {
  const usual = schemas.readUsual(item);
  if (usual) return { content: usual, found: noProblems };
  if (typeof item !== 'object' || item === null || Array.isArray(item)) {
    return { found: [{ path: '', message: 'expected a summary, a JSON object with name, bucket and statistics' }] };
  }
  if (!Object.hasOwn(item, 'value')) {
    const parsed = schemas.summary.safeParse(item);
    return parsed.success ? { content: parsed.data, found: noProblems } : { found: problemsOf(parsed.error.issues) };
  }
  const mixed = statisticNames.filter((statistic) => Object.hasOwn(item, statistic));
  if (mixed.length > 0) {
    return {
      found: [{ path: 'value', message: `give either value or the statistics; ${mixed.join(', ')} given too` }],
    };
  }
  const parsed = schemas.point.safeParse(item);
  if (!parsed.success) return { found: problemsOf(parsed.error.issues) };
  const { name, bucket, value, units } = parsed.data;
  if (bucket === undefined && isRepeatable) {
    // "Now" would be another instant in each repetition, and the repetition would be counted again.
    return { found: [{ path: 'bucket', message: 'missing; with an Idempotency-Key a raw point needs its bucket' }] };
  }
  const point = rawPoint(name, bucket ?? now(), value);
  return { content: units ? { ...point, units } : point, found: noProblems };
}

function problemsOf(issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[]): Problem[] {
  return issues.map(({ path, message }) => ({ path: path.map(String).join('.'), message }));
}

function rawPoint(name: string, bucket: number, value: number): Content {
  return {
    name,
    bucket,
    count: 1,
    mean: value,
    median: value,
    min: value,
    max: value,
    perc95: value,
    perc99: value,
    last: value,
  };
}
