import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { millisecondsHint, parseInstant, parseTimeBound } from '../../src/domain/instant.ts';

const at = Date.UTC(2012, 11, 11, 5, 12) / 1000;

describe('an instant', () => {
  test.each([
    '1355202720',
    '1355202720.0',
    '2012-12-11 05:12:00 UTC',
    '2012-12-11 05:12:00 +0000',
    '2012-12-11 05:12:00 +00',
    '2012-12-11 05:12:00+00',
    '2012-12-11 05:12:00 -00:00',
    '2012-12-11 10:42:00 +05:30',
    '2012-12-11 10:42:00 +0530',
    '2012-12-11T10:42:00+05:30',
    '2012-12-10T21:12:00-08:00',
    '2012-12-10 21:12:00 -08',
    '2012-12-11T05:12:00Z',
    '2012-12-11 05:12:00Z',
    '2012-12-11t05:12:00z',
    '2012-12-11T05:12:00UTC',
  ])('is read from %s', (text) => {
    expect(parseInstant(text)).toBe(at);
  });

  test.each([
    ['1355202720.25', at + 0.25],
    ['2012-12-11T05:12:00.25Z', at + 0.25],
    ['2012-12-11 05:12:00.5 UTC', at + 0.5],
    ['2012-12-11 05:12:00.123456 +0000', at + 0.123456],
    ['2012-12-11T05:12:00.123456789Z', at + 0.123457],
    ['2012-12-11T10:42:00.75+05:30', at + 0.75],
    ['1969-12-31T23:59:59.25Z', -0.75],
  ])('keeps the fraction of %s, to the microsecond', (text, seconds) => {
    expect(parseInstant(text)).toBe(seconds);
  });

  test.each([at, at + 0.5, 0, -1, at + 0.123456])('is read from the number %d', (seconds) => {
    expect(parseInstant(seconds)).toBe(seconds);
  });

  test('knows the leap days of years that have one', () => {
    expect(parseInstant('2012-02-29T00:00:00Z')).toBe(Date.UTC(2012, 1, 29) / 1000);
    expect(parseInstant('2000-02-29T00:00:00Z')).toBe(Date.UTC(2000, 1, 29) / 1000);
  });

  test.each([
    ['no zone', '2012-12-11T05:12:00'],
    ['no zone after a space', '2012-12-11 05:12:00'],
    ['no time', '2012-12-11'],
    ['no seconds', '2012-12-11T05:12Z'],
    ['a name of a zone other than UTC', '2012-12-11 05:12:00 CET'],
    ['a zone a day away', '2012-12-11T05:12:00+25:00'],
    ['a zone of 60 minutes', '2012-12-11T05:12:00+00:60'],
    ['the 30th of February', '2012-02-30T00:00:00Z'],
    ['the 29th of February of a common year', '2013-02-29T00:00:00Z'],
    ['the 29th of February of 1900', '1900-02-29T00:00:00Z'],
    ['a 13th month', '2012-13-01T00:00:00Z'],
    ['day 0', '2012-12-00T00:00:00Z'],
    ['hour 24', '2012-12-11T24:00:00Z'],
    ['minute 60', '2012-12-11T05:60:00Z'],
    ['second 61', '2012-12-11T05:12:61Z'],
    ['ten digits of a fraction', '2012-12-11T05:12:00.0123456789Z'],
    ['another separator', '2012-12-11_05:12:00Z'],
    ['text after it', '2012-12-11T05:12:00Z!'],
    ['a line break after it', '2012-12-11T05:12:00Z\n'],
    ['a year of five digits', '12012-12-11T05:12:00Z'],
    ['nothing', ''],
    ['a sign', '-1355202720'],
    ['an exponent', '1e9'],
    ['hexadecimal digits', '0x50c6c060'],
    ['spaces around digits', ' 1355202720 '],
    ['a point without digits', '1355202720.'],
    ['more digits than an instant has', '1234567890123456'],
    ['words', 'yesterday'],
  ])('is refused with %s', (_, text) => {
    expect(parseInstant(text)).toBeUndefined();
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'is refused as the number %d',
    (number) => {
      expect(parseInstant(number)).toBeUndefined();
    },
  );

  test('is the same in every spelling, whatever the instant', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e9 }), (seconds) => {
        const iso = new Date(seconds * 1000).toISOString().slice(0, 19);
        for (const spelling of [`${iso}Z`, `${iso.replace('T', ' ')} UTC`, `${iso}.000+00:00`, String(seconds)]) {
          expect(parseInstant(spelling)).toBe(seconds);
        }
      }),
    );
  });
});

describe('a bound of a time range', () => {
  const now = 1_700_000_000.5;

  test.each([
    ['now', 0],
    ['-90s', 90],
    ['-15m', 15 * 60],
    ['-1h', 3_600],
    ['-7d', 7 * 86_400],
    ['-2w', 14 * 86_400],
    ['-0s', 0],
  ])('%s is relative to now', (text, secondsAgo) => {
    expect(parseTimeBound(text, now)).toBe(now - secondsAgo);
  });

  test.each(['1355202720', '2012-12-11T05:12:00Z', '2012-12-11 05:12:00 UTC'])('may be the instant %s', (text) => {
    expect(parseTimeBound(text, now)).toBe(at);
  });

  test.each([
    ['2012-12-11T10:42:00 05:30', at],
    ['2012-12-11T10:42:00 0530', at],
    ['2012-12-11T05:12:00 00', at],
    ['2012-12-11T10:42:00.5 05:30', at + 0.5],
    ['2012-12-11 10:42:00 05:30', at],
    ['2012-12-11 05:12:00  0000', at],
  ])('takes %s, whose plus was not escaped in the URL', (text, seconds) => {
    expect(parseTimeBound(text, now)).toBe(seconds);
  });

  test.each([
    ['a unit that is none', '-1y'],
    ['a month, whose length varies', '-1mo'],
    ['a fraction', '-1.5h'],
    ['the future', '+1h'],
    ['no sign', '1h'],
    ['no amount', '-h'],
    ['spaces', '- 1h'],
    ['capitals', 'NOW'],
    ['nothing', ''],
    ['a date without a zone', '2012-12-11T05:12:00'],
    ['an instant before 1970', '1969-12-31T23:59:59Z'],
    ['a span that reaches before 1970', '-9999w'],
    ['milliseconds', '1355202720000'],
    ['an instant after 9999', '253402300800'],
  ])('is refused with %s', (_, text) => {
    expect(parseTimeBound(text, now)).toBeUndefined();
  });

  test('reaches from 1970 to 9999, both included', () => {
    expect(parseTimeBound('0', now)).toBe(0);
    expect(parseTimeBound('9999-12-31T23:59:59Z', now)).toBe(253_402_300_799);
  });
});

describe('the hint about milliseconds', () => {
  const isSensible = (seconds: number) => seconds > 1e9 && seconds < 2e9;

  test.each([1_355_202_720_000, '1355202720000'])('tells what %o is in seconds', (value) => {
    expect(millisecondsHint(value, isSensible)).toBe(
      '; 1355202720000 looks like milliseconds, in seconds it is 1355202720',
    );
  });

  test.each([1_355_202_720, '1355202720', 'yesterday', Number.NaN, ''])('is empty for %o', (value) => {
    expect(millisecondsHint(value, isSensible)).toBe('');
  });
});
