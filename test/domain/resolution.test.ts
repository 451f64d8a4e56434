import { describe, expect, test } from 'vitest';
import { bucketsBetween, finestResolution, isTimezone, parseResolution } from '../../src/domain/resolution.ts';

describe('a resolution', () => {
  test.each([
    ['second', 1, 'second'],
    ['s', 1, 'second'],
    ['minute', 1, 'minute'],
    ['m', 1, 'minute'],
    ['hour', 1, 'hour'],
    ['h', 1, 'hour'],
    ['day', 1, 'day'],
    ['d', 1, 'day'],
    ['week', 1, 'week'],
    ['w', 1, 'week'],
    ['month', 1, 'month'],
    ['mo', 1, 'month'],
    ['year', 1, 'year'],
    ['y', 1, 'year'],
    ['10s', 10, 'second'],
    ['15m', 15, 'minute'],
    ['15minute', 15, 'minute'],
    ['6h', 6, 'hour'],
    ['3d', 3, 'day'],
    ['2w', 2, 'week'],
    ['1mo', 1, 'month'],
    ['1y', 1, 'year'],
    ['3650d', 3_650, 'day'],
  ])('%s is %d %s', (text, amount, unit) => {
    expect(parseResolution(text)).toEqual({ amount, unit });
  });

  test.each([
    ['nothing', ''],
    ['a number alone', '15'],
    ['zero', '0m'],
    ['a negative amount', '-1m'],
    ['a fraction', '1.5h'],
    ['a multiple of months, which do not divide a year evenly', '2mo'],
    ['a multiple of years', '2year'],
    ['a plural', 'minutes'],
    ['capitals, since M is a month elsewhere', 'M'],
    ['a space', '15 m'],
    ['a line break', 'm\n'],
    ['an unknown unit', 'fortnight'],
    ['a word that every object has', 'constructor'],
    ['more than ten years', '3651d'],
    ['an amount beyond reason', '999999999w'],
    ['an amount of ten digits', '0000000001m'],
  ])('is refused with %s', (_, text) => {
    expect(parseResolution(text)).toBeUndefined();
  });
});

describe('the number of buckets', () => {
  // Exact up to hours; of days and longer the most that a zone can make of the range.
  test.each([
    [0, 0, 'minute', 1],
    [0, 59, 'minute', 1],
    [0, 60, 'minute', 2],
    [0, 86_400, 'hour', 25],
    [59, 61, 'minute', 2],
    [0, 86_400 * 28, 'month', 3],
    [1, 86_400 * 365, 'year', 2],
    [0, 3_600, '15m', 5],
  ])('from %d to %d at %s is %d', (from, to, text, buckets) => {
    const resolution = parseResolution(text);
    expect(resolution && bucketsBetween(from, to, resolution)).toBe(buckets);
  });
});

describe('the finest resolution', () => {
  test.each([
    [3_600, 11_000, 'second'],
    [86_400, 11_000, '10s'],
    [7 * 86_400, 11_000, 'minute'],
    [365 * 86_400, 11_000, 'hour'],
    [86_400, 25, 'hour'],
    [86_400, 24, '6h'],
    [100 * 365 * 86_400, 200, 'year'],
  ])('of %d s in at most %d buckets is %s', (seconds, bucketsMax, finest) => {
    expect(finestResolution(0, seconds, bucketsMax)).toBe(finest);
  });
});

describe('a timezone', () => {
  test.each(['UTC', 'GMT', 'Europe/Berlin', 'Europe/Kiev', 'America/Argentina/Ushuaia', 'Etc/GMT+5', 'CET', 'EST5EDT'])(
    'may be %s',
    (text) => {
      expect(isTimezone(text)).toBe(true);
    },
  );

  // Node takes an offset for a zone, but it is no name of the IANA database.
  test.each([
    '',
    '+05:30',
    'Mars/Olympus',
    'local',
    'Europe/Berlin ',
    '../etc/passwd',
    'IST',
    'aet',
    'SystemV/PST8PDT',
  ])('is not %j', (text) => {
    expect(isTimezone(text)).toBe(false);
  });
});
