import { createZoneClock, type ZoneClock } from './zone-clock.ts';

type Unit = 'second' | 'minute' | 'hour' | 'day' | 'week' | 'month' | 'year';

/** The width of the buckets that a read groups by: so many of a unit. */
export interface Resolution {
  readonly amount: number;
  readonly unit: Unit;
}

const unitOf: ReadonlyMap<string, Unit> = new Map([
  ['s', 'second'],
  ['second', 'second'],
  ['m', 'minute'],
  ['minute', 'minute'],
  ['h', 'hour'],
  ['hour', 'hour'],
  ['d', 'day'],
  ['day', 'day'],
  ['w', 'week'],
  ['week', 'week'],
  ['mo', 'month'],
  ['month', 'month'],
  ['y', 'year'],
  ['year', 'year'],
]);

/** A month and a year are their shortest, so that a number of buckets computed from them is never too small. */
export const unitSeconds: Readonly<Record<Unit, number>> = {
  second: 1,
  minute: 60,
  hour: 3_600,
  day: 86_400,
  week: 604_800,
  month: 28 * 86_400,
  year: 365 * 86_400,
};

/** As an error suggests them. */
export const resolutionSpellings =
  'second, minute, hour, day, week, month, year (s m h d w mo y), or a multiple of second to week such as 15m or 6h';

/** Reads `minute`, `m`, `15m`, `6h` … `undefined` when it is no resolution. */
export function parseResolution(text: string): Resolution | undefined {
  const [, digits, word] = /^(\d{0,9})([a-z]+)$/.exec(text) ?? [];
  const unit = word === undefined ? undefined : unitOf.get(word);
  const amount = digits === '' ? 1 : Number(digits);
  if (unit === undefined || amount < 1) return undefined;
  const isMultipleOfCalendarUnit = amount > 1 && (unit === 'month' || unit === 'year');
  return isMultipleOfCalendarUnit || amount * unitSeconds[unit] > unitSeconds.year * 10 ? undefined : { amount, unit };
}

/**
 * The number of buckets that the inclusive range touches: exact up to hours; of days and longer, whose local midnights
 * are not known here, the most that it can be.
 */
export function bucketsBetween(from: number, to: number, { amount, unit }: Resolution): number {
  const width = amount * unitSeconds[unit];
  if (unit === 'second' || unit === 'minute' || unit === 'hour')
    return Math.floor(to / width) - Math.floor(from / width) + 1;
  return Math.floor((to - from) / width) + 2;
}

/** The finest resolution, of those that people read easily, that divides the range into at most so many buckets. */
export function finestResolution(from: number, to: number, bucketsMax: number): string {
  const candidates = ['second', '10s', 'minute', '5m', '15m', 'hour', '6h', 'day', 'week', 'month'];
  const fits = (text: string) => {
    const resolution = parseResolution(text);
    return resolution !== undefined && bucketsBetween(from, to, resolution) <= bucketsMax;
  };
  return candidates.find(fits) ?? 'year';
}

/**
 * What JavaScript takes for zones beyond IANA's. Most are abbreviations, which mean different zones to different people: IST is
 * India here and Israel in PostgreSQL.
 */
const notOfIana =
  /^(ACT|AET|AGT|ART|AST|BET|BST|CAT|CNT|CST|CTT|EAT|ECT|IET|IST|JST|MIT|NET|NST|PLT|PNT|PRT|PST|SST|VST|SystemV\/.*|US\/Pacific-New)$/i;

/** True for a name of the IANA time zone database, links such as `Europe/Kiev` included. */
export function isTimezone(text: string): boolean {
  // The default of every read: to ask takes a quarter of a millisecond.
  if (text === 'UTC') return true;
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(text) || notOfIana.test(text)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/** Instants, both ends inclusive, and the buckets into which they are to be put. */
export interface BucketRange {
  /** Unix seconds. */
  readonly from: number;
  readonly to: number;
  readonly resolution: Resolution;
  /** IANA name. */
  readonly timezone: string;
}

/**
 * The starts of all buckets that a range touches, ascending, in Unix seconds. Undefined for buckets shorter than a day, which have
 * the same width everywhere.
 *
 * A bucket begins with the first instant at which the clocks of the zone show its first day or a later one, and ends where the next
 * begins. So each instant is in exactly one bucket, even if clocks skip midnight, show it twice or go back to the day before (St.
 * John's, until 2011), or if a whole day is left out (Apia, 2011) or repeated.
 */
export function bucketStarts(range: BucketRange): number[] | undefined {
  const { resolution, timezone } = range;
  return isCalendar(resolution) ? calendarStarts(range, createZoneClock(timezone)) : undefined;
}

/**
 * Returns the function that gives for an instant the start of its bucket, both in Unix seconds.
 *
 * Second, minute and hour count from the Unix epoch, as Graphite and Prometheus align them, in every zone. Day and week
 * count local days from the epoch, weeks from Monday; month and year are the calendar's.
 */
export function bucketStart(resolution: Resolution, timezone: string): (instant: number) => number {
  const width = resolution.amount * unitSeconds[resolution.unit];
  if (!isCalendar(resolution)) return (instant) => Math.floor(instant / width) * width;
  const clock = createZoneClock(timezone);
  // By day in UTC: a large read computes each only once.
  const known = new Map<number, number[]>();
  return (instant) => {
    const day = Math.floor(instant / unitSeconds.day);
    const [from, to] = [day * unitSeconds.day, (day + 1) * unitSeconds.day];
    const starts = known.get(day) ?? calendarStarts({ from, to, resolution, timezone }, clock);
    known.set(day, starts);
    const start = starts.findLast((one) => one <= instant);
    if (start === undefined) throw new Error(`BUG: ${instant} is in no bucket`);
    return start;
  };
}

/** Whether buckets are of local days, months or years. */
function isCalendar({ unit }: Resolution): boolean {
  return unit !== 'second' && unit !== 'minute' && unit !== 'hour';
}

function calendarStarts({ from, to, resolution }: BucketRange, clock: ZoneClock): number[] {
  const { first, localStartOf } = localBuckets(resolution, from + clock.offsetAt(from));
  const starts: number[] = [];
  for (let place = first; ; place += 1) {
    const start = clock.firstInstantOf(localStartOf(place));
    // Beyond what a Date can hold it is NaN.
    if (!(start <= to)) return starts;
    // The bucket before ended before the range, or its days were left out.
    if (start <= from || start === starts.at(-1)) starts.pop();
    starts.push(start);
  }
}

/** Buckets by their place in a row: that of a local time, and at which local time each begins. */
function localBuckets({ amount, unit }: Resolution, local: number) {
  if (unit === 'month' || unit === 'year') {
    const months = unit === 'year' ? 12 : 1;
    const date = new Date(local * 1_000);
    const first = Math.floor((date.getUTCFullYear() * 12 + date.getUTCMonth()) / months);
    // Unlike Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
    return { first, localStartOf: (place: number) => new Date(0).setUTCFullYear(0, place * months, 1) / 1_000 };
  }
  // 1970-01-01 was a Thursday, so the first Monday was four days later.
  const origin = unit === 'week' ? 4 * unitSeconds.day : 0;
  const width = amount * unitSeconds[unit];
  return { first: Math.floor((local - origin) / width), localStartOf: (place: number) => place * width + origin };
}
