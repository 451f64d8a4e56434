import { isValid } from 'date-fns/isValid';
import { parseISO } from 'date-fns/parseISO';

/** The spellings that an error suggests. */
export const instantSpellings = 'Unix seconds, RFC 3339 such as 2030-01-31T05:12:00Z, or "2030-01-31 05:12:00 UTC"';

/** The year 9999 ends here: every later instant is a mistake, most likely of its unit. */
export const latestUnixSeconds = 253_402_300_799;

/** How far ahead a bucket may be. A clock may be wrong by so much; data from further ahead would hide behind all later. */
export const aheadSecondsMax = 3_600;

/** Date, time, fraction of a second, zone: RFC 3339, or with a space and `UTC`, `+0000`, `+00` as l2met's outlet and Ruby print it. */
const dateTime =
  /^(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):\d\d:\d\d)(\.\d{1,9})? ?([Zz]|UTC|[+-](?:[01]\d|2[0-3])(?::?\d\d)?)$/;

const decimal = /^\d{1,15}(\.\d+)?$/;

/**
 * Reads an instant in any of the spellings that m2pg takes.
 *
 * @returns Unix seconds, rounded to the microsecond that PostgreSQL keeps; undefined when it is none of them.
 */
export function parseInstant(value: number | string): number | undefined {
  const seconds = typeof value === 'number' ? value : decimal.test(value) ? Number(value) : parseDateTime(value);
  if (seconds === undefined || !Number.isFinite(seconds)) return undefined;
  return Math.round(seconds * 1e6) / 1e6;
}

function parseDateTime(text: string): number | undefined {
  const [, date, time, fraction, zone] = dateTime.exec(text) ?? [];
  if (zone === undefined) return undefined;
  const offset = /^[Zz]|UTC$/.test(zone) ? 'Z' : zone;
  const parsed = parseISO(`${date}T${time}${offset}`);
  return isValid(parsed) ? parsed.getTime() / 1000 + Number(fraction ?? 0) : undefined;
}

const secondsOf: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/**
 * Reads a bound of a time range: an instant, `now`, or relative to now: `-90s -15m -1h -7d -2w`.
 *
 * A `+` that was not escaped in a URL arrives as a space before the zone, beside the one that may stand there; that is
 * understood too.
 *
 * @param now Unix seconds.
 * @returns Unix seconds; undefined when it is none of them, or not between 1970 and 9999.
 */
export function parseTimeBound(text: string, now: number): number | undefined {
  if (text === 'now') return now;
  const [, amount, unit] = /^-(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const seconds =
    unit === undefined
      ? parseInstant(text.replace(/(:\d\d(?:\.\d+)?) {1,2}(\d\d(?::?\d\d)?)$/, '$1+$2'))
      : now - Number(amount) * (secondsOf[unit] ?? Number.NaN);
  return seconds !== undefined && seconds >= 0 && seconds <= latestUnixSeconds ? seconds : undefined;
}

/** What to add to an error about a number that would be a sensible instant if it were milliseconds; else ''. */
export function millisecondsHint(value: number | string, isSensible: (unixSeconds: number) => boolean): string {
  if (typeof value === 'string' && !decimal.test(value)) return '';
  const seconds = Number(value) / 1000;
  return isSensible(seconds) ? `; ${value} looks like milliseconds, in seconds it is ${seconds}` : '';
}
