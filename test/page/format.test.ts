import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createTimeFormat, formatDuration, formatNumber, formatTicks } from '../../src/page/format.js';

const now = 1_355_202_750;

test('numbers, times and durations are short and exact enough', () => {
  expect([0, 1_234.5678, 123_456.78, 0.1 + 0.2, 1e-7, 2e16, null, Number.NaN].map(formatNumber)).toEqual([
    '0',
    '1,234.6',
    '123,456.8',
    '0.3',
    '1.000e-7',
    '2.000e+16',
    '–',
    '–',
  ]);
  expect([5, 65, 3_900, 200_000].map(formatDuration)).toEqual(['5 s', '1 min', '1 h 5 min', '2 d']);
  const berlin = createTimeFormat('Europe/Berlin');
  expect([berlin.whole(now), berlin.tick(now, 60), berlin.tick(now, 5)]).toEqual([
    '2012-12-11 06:12:30',
    '06:12',
    '06:12:30',
  ]);
  expect([createTimeFormat('Mars/Base').zone, createTimeFormat('UTC').tick(1_355_184_000, 3_600)]).toEqual([
    'UTC',
    '12-11',
  ]);
});

test('no digit of a whole number is rounded away', () => {
  const whole = fc
    .integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
    .filter((value) => value !== 0);
  fc.assert(fc.property(whole, (value) => void expect(formatNumber(value).replaceAll(',', '')).toBe(String(value))));
});

test('ticks that differ have labels that differ, and say what they are', () => {
  expect(formatTicks([0, 2.5, 5], 2.5)).toEqual(['0', '2.5', '5.0']);
  expect(formatTicks([0, 250_000, 500_000], 250_000)).toEqual(['0', '250K', '500K']);
  expect(formatTicks([4_301_220_000, 4_301_240_000], 20_000)).toEqual(['4.30122B', '4.30124B']);
  expect(formatTicks([0, 1e-7], 1e-7)).toEqual(['0', '1e-7']);
  expect(formatTicks([123_456.5, 123_457], 0.5)).toEqual(['123,456.5', '123,457.0']);
  const distances = fc.tuple(fc.constantFrom(1, 2, 2.5, 5), fc.integer({ min: -9, max: 18 }));
  const factors: Readonly<Record<string, number>> = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 };
  fc.assert(
    fc.property(distances, fc.integer({ min: -1e6, max: 1e6 }), ([digit, exponent], first) => {
      const distance = Number(`${digit}e${exponent}`);
      const values = Array.from({ length: 6 }, (_, index) => (first + index) * distance);
      const labels = formatTicks(values, distance);
      const told = labels.map((label) => {
        const [, number = '', letter = ''] = /^([-\d.,e+]+)([KMBT]?)$/.exec(label) ?? [];
        return Number(number.replaceAll(',', '')) * (factors[letter] ?? 1);
      });
      for (const [index, value] of values.entries())
        expect(Math.abs((told[index] ?? 0) - value)).toBeLessThan(distance * 1e-3);
    }),
  );
});
