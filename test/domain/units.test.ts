import { describe, expect, test } from 'vitest';
import { convert, parseCompoundDuration } from '../../src/domain/units.ts';

describe('units', () => {
  test.each<[number, string, string, number]>([
    [1.001, 's', 'ms', 1_001],
    [350.2, 'µs', 'ms', 0.3502],
    [12.5, 'ms', 'us', 12_500],
    [1e-7, 's', 'ns', 100],
    [2, 'h', 'min', 120],
    [1, 'd', 'h', 24],
    [5, 'seconds', 'ms', 5_000],
    [1.5, 'GB', 'kB', 1_500_000],
    [1, 'GiB', 'MiB', 1_024],
    [1, 'MiB', 'kB', 1_048.576],
    [60, '/min', '/s', 1],
    [3, 'kB/min', 'B/s', 50],
    [7, 'apples', 'apples', 7],
    [7, 'apples/s', 'apples/min', 420],
  ])('convert: %d %s is in %s %d', (value, from, to, expected) => {
    expect(convert(value, from, to)).toBe(expected);
  });

  test.each([
    ['ms', 'MB'],
    ['ms', 'apples'],
    ['apples', 'pears'],
    ['ms', '/ms'],
    ['MB', 'MB/s'],
    ['ms', 'Ms'],
    ['', 'ms'],
  ])('do not convert: %j to %j', (from, to) => {
    expect(convert(1, from, to)).toBeUndefined();
    expect(convert(1, to, from)).toBeUndefined();
  });

  test.each<[string, number | undefined]>([
    ['1m30.5s', 90.5],
    ['1h0m0s', 3_600],
    ['-1m2s', -62],
    ['2d 4h', 187_200],
    ['1s500ms', 1.5],
    ['1ms500µs', 0.0015],
    ['30s', undefined],
    ['30s1m', undefined],
    ['1m30', undefined],
    ['1m 2m', undefined],
    ['1m30sec', undefined],
    ['x1m30s', undefined],
  ])('of several components: %s is %d seconds', (text, seconds) => {
    expect(parseCompoundDuration(text)).toBe(seconds);
  });
});
