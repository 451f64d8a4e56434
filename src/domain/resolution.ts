import { TZDate } from '@date-fns/tz';

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
 * What JavaScript takes for zones beyond IANA's, abbreviations for the most part: PostgreSQL knows none of them, or takes
 * them for another (IST is India here, and Israel there).
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

/**
 * Returns the function that gives for an instant the start of its bucket, both in Unix seconds.
 *
 * Second, minute and hour count from the Unix epoch, as Graphite and Prometheus align them, in every zone. Day and week
 * count local days from the epoch, weeks from Monday; month and year are the calendar's. A day begins with its first
 * instant: at the change of clocks where that skips midnight, and with the first of two midnights.
 */
export function bucketStart(resolution: Resolution, timezone: string): (instant: number) => number {
  const { amount, unit } = resolution;
  const width = amount * unitSeconds[unit];
  if (unit === 'second' || unit === 'minute' || unit === 'hour')
    return (instant) => Math.floor(instant / width) * width;
  // Local midnights fall on quarter hours in every zone of the last decades, so a quarter hour lies in one bucket;
  // computing each only once makes a large read some hundred times cheaper.
  const known = new Map<number, number>();
  return (instant) => {
    const quarter = Math.floor(instant / 900);
    const start = known.get(quarter) ?? calendarStart(quarter * 900, resolution, timezone);
    known.set(quarter, start);
    return start;
  };
}

function calendarStart(instant: number, { amount, unit }: Resolution, timezone: string): number {
  const local = new TZDate(instant * 1000, timezone);
  if (unit === 'year') return localMidnight(local.getFullYear(), 0, 1, timezone);
  if (unit === 'month') return localMidnight(local.getFullYear(), local.getMonth(), 1, timezone);
  const day = Date.UTC(local.getFullYear(), local.getMonth(), local.getDate()) / 86_400_000;
  // 1970-01-01 was a Thursday, so day 4 was the first Monday.
  const [days, origin] = unit === 'week' ? [amount * 7, 4] : [amount, 0];
  return localMidnight(1970, 0, 1 + Math.floor((day - origin) / days) * days + origin, timezone);
}

function localMidnight(year: number, month: number, date: number, timezone: string): number {
  const midnight = new TZDate(year, month, date, timezone);
  // In some zones that is the second of two: then what comes before it is of the same day.
  const before = new TZDate(midnight.getTime() - 1, timezone);
  const elapsedMs = before.getDate() === midnight.getDate() ? millisecondOfDay(before) + 1 : 0;
  return (midnight.getTime() - elapsedMs) / 1000;
}

function millisecondOfDay(local: TZDate): number {
  const [hours, minutes, seconds] = [local.getHours(), local.getMinutes(), local.getSeconds()];
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + local.getMilliseconds();
}
