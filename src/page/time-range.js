import { createZoneClock } from './zone-clock.js';

/** Seconds of what a relative time is told in. @type {Readonly<Record<string, number>>} */
const unitSeconds = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/**
 * Reads a time as `GET /metrics` takes it, as far as the page needs to know where it lies.
 *
 * @param {string} text
 * @param {number} now Unix seconds.
 * @returns {number | undefined} Unix seconds; undefined: the service may understand it, the page does not.
 */
export function parseBound(text, now) {
  if (text === 'now') return now;
  const [, amount, unit] = /^-(\d{1,9})([smhdw])$/.exec(text) ?? [];
  if (unit !== undefined) return now - Number(amount) * (unitSeconds[unit] ?? 0);
  if (/^\d{1,15}(\.\d+)?$/.test(text)) return Number(text);
  const isInstant =
    isDay(text.slice(0, 10)) &&
    /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC|[+-]\d\d(:?\d\d)?))$/i.test(text);
  const parsed = isInstant ? Date.parse(text.replace(/ ?UTC$/i, 'Z').replace(' ', 'T')) : Number.NaN;
  return Number.isNaN(parsed) ? undefined : parsed / 1000;
}

/** Whether a date is in the calendar: browsers take 2026-02-30 for the second of March. @param {string} text */
function isDay(text) {
  const midnight = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(text);
}

/**
 * Reads what was typed as a range: one bound, which lasts until now, or two, with a space, `to` or `..` between them. A date
 * or a time without a zone is read in that which is chosen, as the axes show it.
 *
 * @param {string} text
 * @param {string} timezone IANA name.
 * @returns {{ from: string, to: string } | undefined} Instants in UTC, or as they were typed. Undefined: nothing was typed, or more
 *   than two bounds.
 */
export function parseRange(text, timezone) {
  // A date and a time may have a space between them, and a time and its zone.
  const whole = text.trim().replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d)/g, '$1T$2');
  const [from, to = 'now', ...more] = whole
    .replace(/ +(UTC|[+-]\d\d:?\d\d)/gi, '$1')
    .split(/\s+to\s+|\s*\.\.\s*|\s+/)
    .filter((part) => part !== '')
    .map((bound) => inUtc(bound, timezone));
  return from === undefined || more.length > 0 ? undefined : { from, to };
}

/** The service wants seconds and a zone; a person leaves them out. @param {string} bound @param {string} timezone */
function inUtc(bound, timezone) {
  const dated = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?$/i;
  const [, day, time = '', zone] = dated.exec(bound) ?? [];
  if (day === undefined) return bound;
  const clock = `${day}T${(time || '00:00').padEnd(8, ':00')}`;
  const local = parseBound(`${clock}Z`, 0) ?? -1;
  const seconds = zone ? parseBound(clock + zone, 0) : createZoneClock(timezone).instantOf(local);
  // What is in no calendar, or too long ago, the service refuses.
  const isDate = local >= 0 && formatBound(local) === `${clock}Z`;
  return isDate && seconds !== undefined ? formatBound(seconds) : `${clock}${zone ?? 'Z'}`;
}

/**
 * A bound as the field shows it: an instant as the clocks of a zone do, with how far they are ahead, so that it means the same
 * in any zone. What is no whole second, or no instant, is left as it is.
 *
 * @param {string} bound
 * @param {string} timezone
 */
export function showBound(bound, timezone) {
  const seconds = /^\d{4}-/.test(bound) ? parseBound(bound, 0) : undefined;
  if (seconds === undefined || !Number.isInteger(seconds)) return bound;
  const ahead = createZoneClock(timezone).ahead(seconds);
  // Long ago clocks were not set by whole minutes, which nobody could write as an offset.
  if (ahead === 0 || ahead % 60 !== 0) return formatBound(seconds);
  const offset = formatBound(Math.abs(ahead)).slice(11, 16);
  return formatBound(seconds + ahead).replace('Z', `${ahead < 0 ? '-' : '+'}${offset}`);
}

/**
 * A bound as text that the service takes and a person can read.
 *
 * @param {number} seconds Unix seconds.
 */
export function formatBound(seconds) {
  return new Date(Math.round(seconds) * 1000).toISOString().replace('.000Z', 'Z');
}

/** Widths that people think in. @type {readonly (readonly [number, string])[]} */
const resolutions = [
  [1, 'second'],
  [5, '5s'],
  [10, '10s'],
  [15, '15s'],
  [30, '30s'],
  [60, 'minute'],
  [120, '2m'],
  [300, '5m'],
  [600, '10m'],
  [900, '15m'],
  [1_800, '30m'],
  [3_600, 'hour'],
  [7_200, '2h'],
  [10_800, '3h'],
  [21_600, '6h'],
  [43_200, '12h'],
  [86_400, 'day'],
  [604_800, 'week'],
  [2_419_200, 'month'],
];

/** What can be chosen by hand. */
export const resolutionChoices = /** @type {const} */ ([
  'auto',
  'second',
  '10s',
  'minute',
  '5m',
  '15m',
  'hour',
  '6h',
  'day',
  'week',
  'month',
]);

/** A point needs so many pixels to be told from the next. */
const pixelsPerPoint = 3;

/**
 * The finest resolution whose points a chart can show apart.
 *
 * @param {number} seconds Of the range.
 * @param {number} pixels Of the chart.
 */
export function resolutionFor(seconds, pixels) {
  const pointsMax = Math.max(60, pixels / pixelsPerPoint);
  return resolutions.find(([width]) => seconds / width <= pointsMax)?.[1] ?? 'year';
}

/**
 * The width of the buckets of a resolution in seconds; of what the page does not know, a minute.
 *
 * @param {string} resolution
 */
export function secondsOf(resolution) {
  const known = resolutions.find(([, spelling]) => spelling === resolution)?.[0];
  if (known !== undefined) return known;
  const [, amount = '1', unit = 'm'] = /^(\d*)([smhdw])/.exec(resolution) ?? [];
  return (Number(amount) || 1) * (unitSeconds[unit] ?? 60);
}

/**
 * A range moved by a part of its width, or made wider or narrower about its middle.
 *
 * @param {{ from: number, to: number }} range
 * @param {{ by?: number, zoom?: number }} change
 */
export function changeRange({ from, to }, { by = 0, zoom = 1 }) {
  const width = Math.max(to - from, 1);
  const middle = (from + to) / 2 + by * width;
  return { from: Math.max(0, middle - (width * zoom) / 2), to: middle + (width * zoom) / 2 };
}
