/**
 * Verification: what each database really holds, counted from its summaries and compared to the last bit. Repair trusts the
 * digests that triggers keep; this trusts nothing.
 *
 * 1. Lay the fingerprints of every series and hour side by side, ids and content.
 * 2. Read those that differ summary by summary, twice: what differs only once was a write on its way.
 * 3. Compare the digests of the hours with what was counted, and where they differ, later, with what is there at that instant.
 *
 * Weeks in which no database holds anything are not gone through day by day: one summary of 1970 would make 20,000 days. Of
 * them only the digests and roll-ups are read, which must say that there is nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Span } from '../domain/store.ts';
import { type Summary, statisticNames } from '../domain/summary.ts';
import {
  compareTallies,
  findTalliesOfNothing,
  findWrongTallies,
  type Tallies,
  type Tally,
  type WrongTally,
} from './compare-tallies.ts';
import type { Copy, Slice } from './copy.ts';
import { type Fingerprint, fingerprintsOf, isSameEverywhere, spanOf } from './fingerprints.ts';

const hourSeconds = 3_600;
const daySeconds = 86_400;
const weekSeconds = 7 * daySeconds;

/** Of weeks without summaries so much is looked at in one statement. */
const emptySecondsMax = 366 * daySeconds;

/** A write on its way settles within it. */
const restMs = 3_000;

/** Series and hours that are read summary by summary at a time, and of a day at most. */
const groupsAtOnce = 100;
const groupsMax = 10_000;

/** Something that is wrong. Times in Unix seconds. */
export type Finding =
  | {
      readonly type: 'missing';
      readonly hour: number;
      readonly name: string;
      readonly id: string;
      readonly in: string[];
    }
  | {
      readonly type: 'content';
      readonly hour: number;
      readonly name: string;
      readonly id: string;
      /** Such as `mean is 3 in db1, 4 in db2`. */
      readonly difference: string;
    }
  | WrongTally
  /** More series differ in this day than are looked at one by one. */
  | { readonly type: 'more'; readonly hour: number };

/** One day, or a longer time in which no database holds anything, verified. */
export interface VerifiedDay {
  readonly from: number;
  /** By hour, how many summaries each database holds, in their order. */
  readonly hours: ReadonlyMap<number, readonly number[]>;
  readonly findings: readonly Finding[];
}

export interface VerifyOptions {
  readonly copies: readonly Copy[];
  readonly namePattern: string | undefined;
  /** Whole hours. */
  readonly range: Slice;
  readonly restMs?: number;
}

/**
 * Verifies day by day, the oldest first.
 *
 * @throws Failure when a database fails in the midst of it.
 */
export async function* verify(options: VerifyOptions): AsyncGenerator<VerifiedDay> {
  const { copies, range } = options;
  const weeks = [...new Set((await Promise.all(copies.map(readWeeks))).flat())].toSorted((a, b) => a - b);
  let from = Math.max(range.from, weeks[0] ?? range.until);
  for (const week of [...weeks, range.until]) {
    // Between the weeks that may hold something, and behind the last.
    for (; from < Math.min(week, range.until); from = Math.min(from + emptySecondsMax, week, range.until)) {
      yield await verifyNothing({ from, until: Math.min(from + emptySecondsMax, week, range.until) }, options);
    }
    while (from < Math.min(week + weekSeconds, range.until)) {
      const until = Math.min((Math.floor(from / daySeconds) + 1) * daySeconds, range.until);
      yield await verifyDay({ from, until }, options);
      from = until;
    }
  }
}

/** The begins of the weeks in which a database may hold something. */
async function readWeeks({ database }: Copy): Promise<number[]> {
  const text = `
    select date_part('epoch', week) as week from (
      select to_date(right(relname, 8), 'YYYYMMDD')::timestamp at time zone 'UTC'
      from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = 'summaries'::regclass
      union select date_trunc('week', earliest, 'UTC') from packed_chunks) as weeks (week)`;
  const { rows } = await database.query('repair', { text });
  return rows.map(({ week }) => week);
}

async function verifyNothing(slice: Slice, options: VerifyOptions): Promise<VerifiedDay> {
  const { copies, namePattern } = options;
  const suspected = namePattern === undefined ? await findTalliesOfNothing(slice, copies) : [];
  return { from: slice.from, hours: new Map(), findings: await confirm(suspected, options) };
}

async function verifyDay(slice: Slice, options: VerifyOptions): Promise<VerifiedDay> {
  const { hours, differing } = await count(slice, options);
  const findings: Finding[] = await findInGroups(differing.slice(0, groupsMax), options);
  if (differing.length > groupsMax) findings.push({ type: 'more', hour: slice.from });
  const suspected = options.namePattern === undefined ? await compareTallies(slice, hours, options.copies) : [];
  findings.push(...(await confirm(suspected, options)));
  const counts = [...hours].map(([hour, tallies]) => [hour, tallies.map(({ count }) => count)] as const);
  return { from: slice.from, hours: new Map(counts), findings };
}

/** By hour, what each database holds, and which series differ where. */
async function count(slice: Slice, options: VerifyOptions): Promise<{ hours: Tallies; differing: Span[] }> {
  const { copies, namePattern } = options;
  const hours = new Map<number, MutableTally[]>();
  const differing: Span[] = [];
  for await (const row of fingerprintsOf(copies, {
    ...slice,
    namePattern,
    widthSeconds: hourSeconds,
    isOfContent: true,
  })) {
    const known = row.filter((fingerprint) => fingerprint !== undefined);
    const tallies = hours.get(known[0]?.start ?? 0) ?? copies.map(() => ({ count: 0, hash: 0n }));
    hours.set(known[0]?.start ?? 0, tallies);
    row.forEach((fingerprint, index) => {
      add(tallies[index], fingerprint);
    });
    if (!isSameEverywhere(row) && differing.length <= groupsMax) differing.push(spanOf(known));
  }
  return { hours, differing };
}

/** Of what was counted and what the database thinks it is, one may have been read before a write and the other after it. */
async function confirm(suspected: readonly WrongTally[], options: VerifyOptions): Promise<Finding[]> {
  if (suspected.length === 0) return [];
  await sleep(options.restMs ?? restMs);
  const findings: WrongTally[] = [];
  for (const from of new Set(suspected.map(({ hour }) => hour))) {
    findings.push(...(await findWrongTallies({ from, until: from + hourSeconds }, options.copies)));
  }
  return findings.filter((one) =>
    suspected.some(({ type, hour, in: name }) => type === one.type && hour === one.hour && name === one.in),
  );
}

/** A tally while it is being counted. */
type MutableTally = { -readonly [Key in keyof Tally]: Tally[Key] };

function add(tally: MutableTally | undefined, fingerprint: Fingerprint | undefined): void {
  if (tally === undefined || fingerprint === undefined) return;
  tally.count += fingerprint.count;
  tally.hash ^= BigInt(fingerprint.hash);
}

/** The databases are not read at one instant, so a write on its way may differ at each look, but none at two. */
async function findInGroups(spans: readonly Span[], options: VerifyOptions): Promise<Finding[]> {
  const first = await lookAt(spans, options);
  const differing = new Set(first.map(({ name, hour }) => `${hour} ${name}`));
  const again = await lookAt(
    spans.filter(({ name, from }) => differing.has(`${hourOf(from)} ${name}`)),
    options,
  );
  return again.filter((one) => first.some(({ type, id }) => type === one.type && id === one.id));
}

async function lookAt(spans: readonly Span[], options: VerifyOptions): Promise<Difference[]> {
  if (spans.length === 0) return [];
  await sleep(options.restMs ?? restMs);
  const found: Difference[] = [];
  for (let start = 0; start < spans.length; start += groupsAtOnce) {
    found.push(...(await compareSummaries(spans.slice(start, start + groupsAtOnce), options.copies)));
  }
  return found;
}

type Difference = Extract<Finding, { readonly id: string }>;

const hourOf = (bucket: number) => Math.floor(bucket / hourSeconds) * hourSeconds;

async function compareSummaries(spans: readonly Span[], copies: readonly Copy[]): Promise<Difference[]> {
  const held = await Promise.all(
    copies.map(async ({ store }) => new Map((await store.selectSpans(spans)).summaries.map((one) => [one.id, one]))),
  );
  const ids = new Set(held.flatMap((byId) => [...byId.keys()]));
  return [...ids].flatMap((id): Difference[] => {
    const versions = held.map((byId) => byId.get(id));
    const first = versions.find((summary) => summary !== undefined);
    if (first === undefined) return [];
    const what = { hour: hourOf(first.bucket), name: first.name, id };
    const lacking = copies.filter((_, index) => versions[index] === undefined).map(({ database }) => database.name);
    const difference = differenceOf(versions, copies);
    return [
      ...(lacking.length > 0 ? [{ type: 'missing', ...what, in: lacking } as const] : []),
      ...(difference ? [{ type: 'content', ...what, difference } as const] : []),
    ];
  });
}

function differenceOf(versions: readonly (Summary | undefined)[], copies: readonly Copy[]): string | undefined {
  const differing = (['name', 'bucket', ...statisticNames, 'sketch'] as const).flatMap((field) => {
    const values = versions.flatMap((summary, index) =>
      summary === undefined ? [] : [{ value: textOf(summary[field]), name: copies[index]?.database.name }],
    );
    if (values.every(({ value }) => value === values[0]?.value)) return [];
    return [`${field} is ${values.map(({ value, name }) => `${value} in ${name}`).join(', ')}`];
  });
  return differing.length > 0 ? differing.join('; ') : undefined;
}

function textOf(value: Summary[keyof Summary]): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value ?? 'none');
}
