/**
 * The words of m2pg, used alike in code, SQL, logs and documents:
 *
 * - metric name: what is measured, `foo.web.requests`; 1–255 bytes.
 * - summary: the statistics of one metric over one bucket, with an id. A raw point is a summary of one.
 * - bucket: the start of the period that a summary covers, in Unix seconds.
 * - resolution: the width of the buckets that a read groups by.
 * - series: one metric name and its points over time.
 * - database: one PostgreSQL, named `db1 … dbN` by its place in `DATABASE_URLS`.
 * - store: our interface over one or many databases.
 * - receiver, view: what turns bytes into summaries; what turns a result into bytes.
 * - digest: count and order-free hash of a set of ids: equal digests, equal sets.
 * - observation: something worth knowing that happened; logs and metrics decide what to show of it.
 */

import type { Sketch } from './sketch.ts';

/** The eight statistics, in the order of every document and every column list. */
export const statisticNames = ['count', 'mean', 'median', 'min', 'max', 'perc95', 'perc99', 'last'] as const;

/** Name of a statistic: field, column and JSON key alike. */
export type StatisticName = (typeof statisticNames)[number];

/** Finite numbers, magnitude ≤ 1e300; count between 0 and 2^53. Not checked against each other. */
export type Statistics = Readonly<Record<StatisticName, number>>;

/** The size of a key of the dictionary's index is bounded; names this long are mistakes. */
export const nameBytesMax = 255;

/** Of the values of a series: `ms`, `MB`, `/s`. */
export const unitsBytesMax = 32;

/**
 * Characters that make text look different from what it is: controls (Cc), line and paragraph separators (Zl, Zp), and
 * bidirectional controls (Bidi_Control: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069). Other invisible characters,
 * such as joiners, are allowed: some scripts need them.
 */
const misleading = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** The message about text that holds one of them. */
const misleadingProblem =
  'must not hold control characters, line separators or characters that change the direction of writing';

/** Says what is wrong with a name that may be stored already, by any version; undefined: nothing. */
export function storedNameProblem(name: string): string | undefined {
  if (name === '' || Buffer.byteLength(name) > nameBytesMax) return `expected 1 to ${nameBytesMax} bytes of UTF-8`;
  if (!name.isWellFormed()) return 'must be well-formed Unicode, without lone surrogates';
  return /\p{Cc}/u.test(name) ? 'must not hold control characters' : undefined;
}

/** Says what is wrong with the name of a metric that is to be stored; undefined: nothing. */
export function nameProblem(name: string): string | undefined {
  return storedNameProblem(name) ?? (misleading.test(name) ? misleadingProblem : undefined);
}

/** Whether a text can stand for the units of a series. */
export function isUnits(text: string): boolean {
  return text !== '' && text.isWellFormed() && Buffer.byteLength(text) <= unitsBytesMax && !misleading.test(text);
}

/** What a summary says, before it has its id. */
export type Content = Omit<Summary, 'id'>;

/** Validated once, given its id once, and frozen: whoever holds a summary may trust it. */
export interface Summary extends Statistics {
  /** UUID in lower case: version 7, or version 5 where the sender gave an idempotency key. */
  readonly id: string;
  readonly name: string;
  /** Unix seconds, microseconds kept. */
  readonly bucket: number;
  /** Of the values themselves, so that percentiles of several summaries together can be told. Left out: they are not known. */
  readonly sketch?: Sketch;
  /** What the values are counted in. Kept with the series: the latest that was sent holds for all of it. */
  readonly units?: string;
}
