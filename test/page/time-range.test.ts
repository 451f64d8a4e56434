import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTimeBound } from '../../src/domain/instant.ts';
import { createTimeFormat } from '../../src/page/format.js';
import { formatBound, parseBound, parseRange, showBound } from '../../src/page/time-range.js';

const now = 1_355_202_750;

test('a time near a change of the clocks has its offset, since it may come twice', () => {
  const { precise } = createTimeFormat('Europe/Berlin');
  const at = (text: string) => precise(Date.parse(text) / 1000);
  expect([at('2026-10-25T00:30:00Z'), at('2026-10-25T01:30:00Z'), at('2026-10-26T01:30:00Z')]).toEqual([
    '2026-10-25 02:30:00 +02:00',
    '2026-10-25 02:30:00 +01:00',
    '2026-10-26 02:30:00',
  ]);
});

describe('a range that is typed', () => {
  test.each([
    ['-6h', '-6h', 'now'],
    [' -2d  -1d ', '-2d', '-1d'],
    ['-2d to -1d', '-2d', '-1d'],
    ['-2d..now', '-2d', 'now'],
    ['2012-12-11 05:12', '2012-12-11T05:12:00Z', 'now'],
    ['2012-12-11 2012-12-12', '2012-12-11T00:00:00Z', '2012-12-12T00:00:00Z'],
    ['2012-12-11T05:12:00Z 2012-12-11 06:12:30 UTC', '2012-12-11T05:12:00Z', '2012-12-11T06:12:30Z'],
    ['2012-12-11 05:12 +05:30 now', '2012-12-10T23:42:00Z', 'now'],
    ['2012-12-11 05:12:30.5Z now', '2012-12-11T05:12:30.5Z', 'now'],
  ])('%s', (typed, from, to) => {
    expect(parseRange(typed, 'UTC')).toEqual({ from, to });
    // The service understands it, and the page as the service does.
    for (const bound of [from, to]) expect(parseBound(bound, now)).toBe(parseTimeBound(bound, now));
    expect(parseBound(from, now)).toBeDefined();
  });

  test.each(['', '  ', '-1h -2h -3h'])('%j is none', (typed) => {
    expect(parseRange(typed, 'UTC')).toBeUndefined();
  });

  test.each([
    ['Europe/Berlin', '2026-11-21 13:00 2026-11-21 13:30', '2026-11-21T12:00:00Z', '2026-11-21T12:30:00Z'],
    ['Europe/Berlin', '2026-07-01 2026-07-01T13:00:05', '2026-06-30T22:00:00Z', '2026-07-01T11:00:05Z'],
    ['Europe/Berlin', '2026-11-21 13:00Z 2026-11-21 13:00 -0500', '2026-11-21T13:00:00Z', '2026-11-21T18:00:00Z'],
    ['Asia/Kolkata', '2026-11-21 13:00 now', '2026-11-21T07:30:00Z', 'now'],
    ['America/New_York', '-2d 2026-11-21 20:00', '-2d', '2026-11-22T01:00:00Z'],
    ['Mars/Base', '2026-11-21 13:00 now', '2026-11-21T13:00:00Z', 'now'],
    // Clocks are set back at 03:00: 02:30 comes twice, and the first is meant.
    ['Europe/Berlin', '2026-10-25 01:59 2026-10-25 02:30', '2026-10-24T23:59:00Z', '2026-10-25T00:30:00Z'],
    ['Europe/Berlin', '2026-10-25 02:30+01:00 2026-10-25 03:00', '2026-10-25T01:30:00Z', '2026-10-25T02:00:00Z'],
    // They are set forward at 02:00: 02:30 never comes, and is shown as 03:30.
    ['Europe/Berlin', '2026-03-29 01:59 2026-03-29 02:30', '2026-03-29T00:59:00Z', '2026-03-29T01:30:00Z'],
    // Days without a midnight, with two, and one that there was not.
    ['Africa/Cairo', '2026-04-24 2026-04-25', '2026-04-23T22:00:00Z', '2026-04-24T21:00:00Z'],
    ['America/Havana', '2026-11-01 2026-11-02', '2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z'],
    ['Pacific/Apia', '2011-12-30 2011-12-31', '2011-12-30T10:00:00Z', '2011-12-30T10:00:00Z'],
    // No such day: the service is to say so.
    ['Europe/Berlin', '2026-02-30 2026-13-01 05:00', '2026-02-30T00:00:00Z', '2026-13-01T05:00:00Z'],
  ])('in %s: %s', (zone, typed, from, to) => {
    expect(parseRange(typed, zone)).toEqual({ from, to });
  });

  test.each([
    '2026-02-30T00:00:00Z',
    '2026-02-29 05:00 UTC',
    '2026-04-31T00:00:00Z',
    '2026-13-01T05:00:00Z',
    '2026-00-10T05:00:00Z',
  ])('%s is in no calendar: the service is asked as it is typed, and refuses it', (bound) => {
    expect(parseBound(bound, now)).toBeUndefined();
    expect(parseTimeBound(bound, now)).toBeUndefined();
  });

  test('what the field shows is what the clocks of the zone show, and the same instant in any other', () => {
    expect(showBound('2026-11-21T12:00:00Z', 'Europe/Berlin')).toBe('2026-11-21T13:00:00+01:00');
    expect(showBound('2026-11-21T12:00:00+05:30', 'America/St_Johns')).toBe('2026-11-21T03:00:00-03:30');
    for (const bound of ['-1h', 'now', '1355202750', '2026-11-21T12:00:00.5Z', '2026-11-21T12:00:00', 'x'])
      expect(showBound(bound, 'Europe/Berlin')).toBe(bound);
    const zone = fc.constantFrom('UTC', 'Europe/London', 'America/Havana', 'Asia/Kolkata', 'Pacific/Apia', 'Mars/Base');
    fc.assert(
      fc.property(fc.integer({ min: 1e5, max: 4e9 }), zone, zone, (seconds, shownIn, typedIn) => {
        const shown = showBound(formatBound(seconds), shownIn);
        expect(parseRange(shown, typedIn)).toEqual({ from: formatBound(seconds), to: 'now' });
        const clock = createTimeFormat(shownIn).whole(seconds);
        const { from = '' } = parseRange(clock, shownIn) ?? {};
        expect(createTimeFormat(shownIn).whole(parseBound(from, now) ?? 0)).toBe(clock);
      }),
    );
  });

  test('what the page writes is what the service reads', () => {
    expect(parseTimeBound(formatBound(now), now)).toBe(now);
  });
});
