import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bucketStart, bucketStarts, parseResolution, type Resolution } from '../../src/domain/resolution.ts';

const unixSeconds = (text: string) => Date.parse(text) / 1000;
const iso = (seconds: number) => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');

function resolutionOf(text: string): Resolution {
  const resolution = parseResolution(text);
  if (resolution === undefined) throw new Error(`no resolution: ${text}`);
  return resolution;
}

/** Half and quarter hours, clocks that change at midnight or by half an hour, and a day that was left out. */
const timezones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Havana',
  'America/Nuuk',
  'America/Sao_Paulo',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Asia/Beirut',
  'Asia/Gaza',
  'Asia/Kathmandu',
  'Asia/Kolkata',
  'Atlantic/Azores',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Chatham',
];

const anyTimezone = fc.constantFrom(...timezones);
const anyText = fc.constantFrom('s', '10s', 'm', '15m', 'h', '6h', 'd', '2d', '3d', 'w', '2w', 'mo', 'y');
const anyCalendarText = fc.constantFrom('d', 'w', 'mo', 'y');

/** Seconds, hours or months until a later instant. */
const anyWait = fc.oneof(fc.nat(100), fc.nat(200_000), fc.nat(40_000_000));

/** Quarter hours of twenty years, and the seconds at both sides of them. */
const anyInstant = fc
  .tuple(fc.integer({ min: 1_230_768_000 / 900, max: 1_893_456_000 / 900 }), fc.constantFrom(-0.000001, 0, 1, 450))
  .map(([quarter, seconds]) => quarter * 900 + seconds);

describe('the start of a bucket', () => {
  test.each([
    ['s', '2012-12-11T05:12:07Z'],
    ['10s', '2012-12-11T05:12:00Z'],
    ['m', '2012-12-11T05:12:00Z'],
    ['15m', '2012-12-11T05:00:00Z'],
    ['h', '2012-12-11T05:00:00Z'],
    ['6h', '2012-12-11T00:00:00Z'],
    ['d', '2012-12-11T00:00:00Z'],
    ['w', '2012-12-10T00:00:00Z'],
    ['mo', '2012-12-01T00:00:00Z'],
    ['y', '2012-01-01T00:00:00Z'],
  ])('of a %s in UTC', (text, start) => {
    expect(iso(bucketStart(resolutionOf(text), 'UTC')(unixSeconds('2012-12-11T05:12:07.9Z')))).toBe(start);
  });

  test.each([
    ['a day in winter', 'd', 'Europe/Berlin', '2025-01-15T12:00:00Z', '2025-01-14T23:00:00Z'],
    ['a day in summer', 'd', 'Europe/Berlin', '2025-07-15T12:00:00Z', '2025-07-14T22:00:00Z'],
    ['the day of 23 hours', 'd', 'Europe/Berlin', '2025-03-30T21:59:59Z', '2025-03-29T23:00:00Z'],
    ['the day after it', 'd', 'Europe/Berlin', '2025-03-30T22:00:00Z', '2025-03-30T22:00:00Z'],
    ['the day of 25 hours', 'd', 'Europe/Berlin', '2025-10-26T22:59:59Z', '2025-10-25T22:00:00Z'],
    ['the week of a change of clocks', 'w', 'Europe/Berlin', '2025-03-30T12:00:00Z', '2025-03-23T23:00:00Z'],
    ['the month of a change of clocks', 'mo', 'Europe/Berlin', '2025-03-31T12:00:00Z', '2025-02-28T23:00:00Z'],
    ['a year', 'y', 'Asia/Tokyo', '2024-12-31T15:00:00Z', '2024-12-31T15:00:00Z'],
    [
      'an hour, which counts from the epoch also here',
      'h',
      'Asia/Kolkata',
      '2025-01-01T00:59:59Z',
      '2025-01-01T00:00:00Z',
    ],
    ['a day in a zone of half hours', 'd', 'Asia/Kolkata', '2025-01-01T18:29:59Z', '2024-12-31T18:30:00Z'],
    ['a day in a zone of quarter hours', 'd', 'Asia/Kathmandu', '2025-01-01T00:00:00Z', '2024-12-31T18:15:00Z'],
    [
      'a day after a change of half an hour',
      'd',
      'Australia/Lord_Howe',
      '2025-04-06T13:30:00Z',
      '2025-04-06T13:30:00Z',
    ],
    ['a day without midnight: its first instant', 'd', 'Africa/Cairo', '2025-04-25T10:00:00Z', '2025-04-24T22:00:00Z'],
    ['the day before it', 'd', 'Africa/Cairo', '2025-04-24T21:59:59Z', '2025-04-23T22:00:00Z'],
    ['a day without midnight in Asia', 'd', 'Asia/Beirut', '2025-03-30T10:00:00Z', '2025-03-29T22:00:00Z'],
    ['a day of two midnights: the first', 'd', 'America/Havana', '2025-11-02T05:30:00Z', '2025-11-02T04:00:00Z'],
    ['a day of two midnights in Asia', 'd', 'Asia/Gaza', '2021-10-29T10:00:00Z', '2021-10-28T21:00:00Z'],
    ['its first hour', 'd', 'Asia/Gaza', '2021-10-28T21:30:00Z', '2021-10-28T21:00:00Z'],
    ['a day whose last hour comes twice', 'd', 'Africa/Cairo', '2025-10-30T21:30:00Z', '2025-10-29T21:00:00Z'],
    [
      'a day in a zone whose name is an abbreviation elsewhere',
      'd',
      'CET',
      '2025-06-01T12:00:00Z',
      '2025-05-31T22:00:00Z',
    ],
    [
      'a day before clocks were set by half a minute',
      'd',
      'Africa/Monrovia',
      '1972-01-06T12:00:00Z',
      '1972-01-06T00:44:30Z',
    ],
    [
      'the hour in which clocks, a minute past midnight, went back to the day before',
      'd',
      'America/St_Johns',
      '2010-11-07T03:00:00Z',
      '2010-11-07T02:30:00Z',
    ],
    ['the day before that', 'd', 'America/St_Johns', '2010-11-07T02:29:59Z', '2010-11-06T02:30:00Z'],
    ['a year long ago', 'y', 'Europe/Berlin', '0050-06-01T00:00:00Z', '0049-12-31T23:06:32Z'],
    ['the day after one that was left out', 'd', 'Pacific/Apia', '2011-12-30T10:00:00Z', '2011-12-30T10:00:00Z'],
    ['the last second of Sunday', 'w', 'UTC', '2025-01-05T23:59:59Z', '2024-12-30T00:00:00Z'],
    ['the first second of Monday', 'w', 'UTC', '2025-01-06T00:00:00Z', '2025-01-06T00:00:00Z'],
    ['two weeks, counted from the first Monday', '2w', 'UTC', '1970-01-18T23:59:59Z', '1970-01-05T00:00:00Z'],
    ['three days, counted from the epoch', '3d', 'UTC', '1970-01-06T00:00:00Z', '1970-01-04T00:00:00Z'],
    ['the last day of a leap February', 'mo', 'UTC', '2024-02-29T23:59:59Z', '2024-02-01T00:00:00Z'],
  ])('of %s', (_, text, timezone, instant, start) => {
    expect(iso(bucketStart(resolutionOf(text), timezone)(unixSeconds(instant)))).toBe(start);
  });

  test('is at or before the instant, and that of every later bucket is after it', () => {
    fc.assert(
      fc.property(anyText, anyTimezone, anyInstant, anyWait, (text, timezone, instant, wait) => {
        const startOf = bucketStart(resolutionOf(text), timezone);
        const [start, laterStart] = [startOf(instant), startOf(instant + wait)];
        expect(start).toBeLessThanOrEqual(instant);
        if (laterStart !== start) expect(laterStart).toBeGreaterThan(instant);
      }),
      { numRuns: 2_000 },
    );
  });

  test('is its own start', () => {
    fc.assert(
      fc.property(anyText, anyTimezone, anyInstant, (text, timezone, instant) => {
        const startOf = bucketStart(resolutionOf(text), timezone);
        expect(startOf(startOf(instant))).toBe(startOf(instant));
      }),
      { numRuns: 1_000 },
    );
  });

  test('is where the local calendar turns', () => {
    fc.assert(
      fc.property(anyCalendarText, anyTimezone, anyInstant, (text, timezone, instant) => {
        const start = bucketStart(resolutionOf(text), timezone)(instant);
        const labelOf = localLabel(text, timezone);
        expect(labelOf(start)).toBe(labelOf(instant));
        expect(labelOf(start - 1)).not.toBe(labelOf(start));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the starts of the buckets of a range', () => {
  const anyZone = fc.constantFrom(...Intl.supportedValuesOf('timeZone'), 'CET', 'MET', 'EET', 'WET');

  test('are where the calendar shows a new day, of any zone and time', () => {
    fc.assert(
      fc.property(anyZone, fc.integer({ min: 0, max: 4_000_000_000 }), (timezone, from) => {
        const to = from + 40 * 86_400;
        const starts = bucketStarts({ from, to, timezone, resolution: resolutionOf('d') }) ?? [];
        const labelOf = localLabel('d', timezone);
        const dayAt = starts.map(labelOf);
        starts.forEach((start, index) => {
          expect(labelOf(start - 1) < labelOf(start)).toBe(true);
          // Each hour until the next: no later day, where clocks went back the one before.
          const end = starts[index + 1] ?? to;
          for (let instant = start; instant < end; instant += 3_600)
            expect(labelOf(instant) <= (dayAt[index] ?? '')).toBe(true);
          expect(labelOf(end - 1) <= (dayAt[index] ?? '')).toBe(true);
        });
      }),
      { numRuns: 150 },
    );
  });

  test('are those of its instants, ascending, of any resolution', () => {
    fc.assert(
      fc.property(anyCalendarText, anyZone, anyInstant, anyWait, (text, timezone, from, wait) => {
        const to = from + wait;
        const starts = bucketStarts({ from, to, timezone, resolution: resolutionOf(text) }) ?? [];
        const startOf = bucketStart(resolutionOf(text), timezone);
        expect(starts[0]).toBe(startOf(from));
        expect(starts.at(-1)).toBe(startOf(to));
        expect(starts).toEqual([...new Set(starts.map(startOf))].toSorted((a, b) => a - b));
        for (const start of starts.slice(1)) expect(starts).toContain(startOf(start - 1));
      }),
      { numRuns: 1_000 },
    );
  });

  test('shorter than a day need none', () => {
    expect(bucketStarts({ from: 0, to: 1, timezone: 'UTC', resolution: resolutionOf('h') })).toBeUndefined();
  });

  test('end with the years of a Date', () => {
    const starts = bucketStarts({ from: 8.6e12, to: Number.MAX_VALUE, timezone: 'UTC', resolution: resolutionOf('y') });
    expect(starts?.length).toBeGreaterThan(1_000);
  });
});

/** What a calendar on the wall shows: day, Monday of the week, month or year, from Node's own knowledge of zones. */
function localLabel(text: string, timezone: string): (instant: number) => string {
  const format = new Intl.DateTimeFormat('sv', { timeZone: timezone, dateStyle: 'short' });
  return (instant) => {
    const day = format.format(Math.floor(instant) * 1000);
    if (text !== 'w') return day.slice(0, { y: 4, mo: 7 }[text] ?? 10);
    const date = new Date(`${day}T00:00:00Z`);
    date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
    return date.toISOString();
  };
}
