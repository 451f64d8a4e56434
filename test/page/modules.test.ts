import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseResolution } from '../../src/domain/resolution.ts';
import { align, toSeries } from '../../src/page/columns.js';
import { patternsOf } from '../../src/page/name-patterns.js';
import { formatState, initialState, parseState, shownNames } from '../../src/page/page-state.js';
import { backgrounds, colours, lookOf, seriesMax } from '../../src/page/palette.js';
import { selectNames } from '../../src/page/selection.js';
import { resolutionFor, secondsOf } from '../../src/page/time-range.js';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';

const text = fc.string({ unit: 'binary', maxLength: 20 }).filter((value) => value.isWellFormed() && value !== '');

test('any state survives its address', () => {
  const state = fc.record({
    match: text,
    names: fc.option(fc.uniqueArray(text)),
    many: fc.constant(false),
    from: text,
    to: text,
    resolution: text,
    timezone: text,
    statistics: fc.subarray([...shownNames], { minLength: 1 }),
    layout: fc.constantFrom('each' as const, 'overlaid' as const),
  });
  fc.assert(fc.property(state, (given) => void expect(parseState(formatState(given))).toEqual(given)));
  expect(formatState(initialState)).toBe('');
  const all = { ...initialState, many: true };
  expect(parseState(formatState(all))).toEqual(all);
  for (const asked of [{ match: 'a' }, { names: ['a'] }, { names: [] }])
    expect(parseState(formatState({ ...all, ...asked }))).toEqual({ ...initialState, ...asked });
  expect(parseState('?name=a&name=b&name=a').names).toEqual(['a', 'b']);
});

test('the resolution is one that the service takes, and as fine as can be seen', () => {
  const inputs = [fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 100, max: 4_000 })] as const;
  fc.assert(
    fc.property(...inputs, (seconds, pixels) => {
      const resolution = resolutionFor(seconds, pixels);
      expect(parseResolution(resolution)).toBeDefined();
      if (resolution !== 'year') expect(seconds / secondsOf(resolution)).toBeLessThanOrEqual(Math.max(60, pixels / 3));
    }),
  );
  expect([resolutionFor(3_600, 1_000), resolutionFor(86_400, 1_000), resolutionFor(30 * 86_400, 1_000)]).toEqual([
    '15s',
    '5m',
    '3h',
  ]);
});

describe('patterns of names', () => {
  test('match these to the letter in PostgreSQL, and none is too long for the service', async () => {
    const url = await freshDatabaseUrl();
    const names = Array.from({ length: 40 }, (_, index) => `a.b${index}+c(${index}) [x]{1} \\d ^$ | * ? ünï`);
    const patterns = patternsOf(names);
    expect(patterns.length).toBeGreaterThan(1);
    for (const pattern of patterns) expect(Buffer.byteLength(pattern)).toBeLessThanOrEqual(256);
    const sql = `select name from unnest($1::text[]) with ordinality as given (name, place)
      where exists (select from unnest($2::text[]) as pattern where name ~ pattern) order by place`;
    const others = names.map((name) => `${name}x`).concat('axb1', 'a.b');
    const rows = await runSql(url, sql, [[...names, ...others], patterns]);
    expect(rows.map(({ name }) => name)).toEqual(names);
  });

  test('of names that are too long for that: all of their length, and nothing twice', async () => {
    const long = (end: string) => `dup${'.x'.repeat(100)}${end}`;
    const longest = `${'.ü'.repeat(84)}..`;
    const others = [long('.3'), long('.10'), long(''), `${'.ü'.repeat(84)}.`, '.'.repeat(254)];
    const names = ['a', long('.1'), long('.2'), longest, '.'.repeat(255), 'b'];
    const patterns = patternsOf(names);
    expect(patterns).toHaveLength(6);
    for (const pattern of patterns) expect(Buffer.byteLength(pattern)).toBeLessThanOrEqual(256);
    const sql = `select name from unnest($1::text[]) with ordinality as given (name, place), unnest($2::text[]) as pattern
      where name ~ pattern order by place`;
    const rows = await runSql(await freshDatabaseUrl(), sql, [[...names, ...others], patterns]);
    expect(rows.map(({ name }) => name)).toEqual(names);
  });

  test('match each name, however alike they are, and none of them in vain', () => {
    const part = fc.constantFrom('.', 'x', '(', 'ü');
    const name = fc
      .array(part, { minLength: 3, maxLength: 3 })
      .map((end) => `${'.a'.repeat(80)}${'.'.repeat(30)}${end.join('')}`);
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof(name, text)), (names) => {
        const patterns = patternsOf(names).map((pattern) => new RegExp(pattern, 'su'));
        const matching = names.map((one) => patterns.filter((pattern) => pattern.test(one)));
        expect(matching.filter(({ length }) => length === 0)).toEqual([]);
        // There is a name for each that no other matches.
        expect(new Set(matching.flatMap((some) => (some.length === 1 ? some : []))).size).toBe(patterns.length);
      }),
    );
  });
});

describe('which names are shown', () => {
  const found = (count: number, more = false) => ({
    names: Array.from({ length: count }, (_, index) => ({ name: `n${index}`, units: null, first: 100, last: 200 })),
    more,
  });
  const range = { from: 150, to: 300 };
  const all = { match: 'n', names: null, many: false };
  const plain = { ...all, match: '' };

  test('all that match, by one pattern, up to 50', () => {
    expect(selectNames(all, found(seriesMax), range)).toMatchObject({ patterns: ['n'], left: 0, isWhole: true });
    const cut = selectNames(all, found(seriesMax + 3), range);
    expect([cut.names.length, cut.left, cut.isWhole]).toEqual([seriesMax, 3, false]);
    expect(selectNames(all, found(10, true), range).left).toBe(1);
  });

  test('those that are picked, also where they do not match', () => {
    expect(selectNames({ ...all, names: ['other', 'n1'] }, found(3), range)).toMatchObject({
      names: ['other', 'n1'],
      patterns: ['^(other|n1)$'],
    });
  });

  test('none that have nothing in the range', () => {
    expect(selectNames({ ...plain, names: ['n1'] }, found(3), { from: 201, to: 300 }).names).toEqual([]);
  });

  test('without a pattern: all when they are few, else none', () => {
    expect(selectNames(plain, found(12), range).patterns).toEqual([undefined]);
    expect(selectNames(plain, found(13), range).patterns).toEqual([]);
  });

  test('without a pattern, when all are asked for: all, up to 50', () => {
    const asked = { ...plain, many: true };
    expect(selectNames(asked, found(19), range)).toMatchObject({ patterns: [undefined], left: 0 });
    expect(selectNames(asked, found(60), range)).toMatchObject({ names: { length: seriesMax }, left: 10 });
  });
});

describe('columns', () => {
  const metric = (...buckets: number[]) => {
    const entries = buckets.map((bucket) => ({ bucket, value: 2 as number | null }));
    return {
      name: 'a',
      count: entries,
      mean: entries,
      median: entries,
      min: entries,
      max: entries,
      perc95: entries,
      perc99: entries,
      last: entries,
    };
  };

  test('sum is mean × count; what is no number stays none', () => {
    const given = {
      ...metric(0, 60),
      mean: [
        { bucket: 0, value: 1.5 },
        { bucket: 60, value: null },
      ],
    };
    expect(toSeries(given).values.sum).toEqual([3, null]);
    expect(toSeries({ ...given, units: 'ms' }).units).toBe('ms');
  });

  test('count and sum of a bucket that is not whole are left out', () => {
    const { count, sum, mean } = toSeries(metric(0, 60), (bucket) => bucket < 60).values;
    expect([count, sum, mean]).toEqual([
      [2, null],
      [4, null],
      [2, 2],
    ]);
  });

  test('a line is broken where its metric fell silent, and not where only others have a point', () => {
    const [times, slow, fast] = align(
      [
        { times: [0, 60, 120, 600], values: [1, 2, 3, 4] },
        { times: [0, 10, 20, 30], values: [5, 6, 7, 8] },
      ],
      10,
    );
    expect(times).toEqual([0, 10, 20, 30, 60, 120, 180, 600]);
    expect(slow).toEqual([1, undefined, undefined, undefined, 2, 3, null, 4]);
    expect(fast).toEqual([5, 6, 7, 8, undefined, undefined, undefined, undefined]);
  });
});

describe.each(['light', 'dark'] as const)('the colours of the %s theme', (theme) => {
  /** Machado and others, 2009: how a colour is seen without one kind of cones, on linear light. */
  const deficiencies: Readonly<Record<string, readonly number[]>> = {
    none: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
    deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
    tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
  };

  const linear = (colour: string) =>
    [1, 3, 5].map((at) => {
      const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
  const luminance = (colour: string) =>
    linear(colour).reduce((sum, value, index) => sum + value * ([0.2126, 0.7152, 0.0722][index] ?? 0), 0);
  const seen = (colour: string, matrix: readonly number[]) => {
    const rgb = linear(colour);
    const [r = 0, g = 0, b = 0] = [0, 3, 6].map((row) =>
      Math.min(
        1,
        Math.max(
          0,
          rgb.reduce((sum, value, index) => sum + value * (matrix[row + index] ?? 0), 0),
        ),
      ),
    );
    // Oklab, in which distances are about as large as they look.
    const [l = 0, m = 0, s = 0] = [
      0.4122 * r + 0.5363 * g + 0.0514 * b,
      0.2119 * r + 0.6807 * g + 0.1074 * b,
      0.0883 * r + 0.2817 * g + 0.63 * b,
    ].map(Math.cbrt);
    return [
      0.2105 * l + 0.7936 * m - 0.0041 * s,
      1.978 * l - 2.4286 * m + 0.4506 * s,
      0.0259 * l + 0.7828 * m - 0.8087 * s,
    ];
  };

  test('stand out from the ground', () => {
    for (const colour of colours[theme]) {
      const [low = 0, high = 0] = [luminance(colour), luminance(backgrounds[theme])].toSorted((a, b) => a - b);
      expect((high + 0.05) / (low + 0.05)).toBeGreaterThan(3);
    }
  });

  test.each(Object.entries(deficiencies))('differ to eyes with %s', (_, matrix) => {
    const all = colours[theme].map((colour) => seen(colour, matrix));
    const distances = all.flatMap((a, index) =>
      all.slice(index + 1).map((b) => Math.hypot(...a.map((value, axis) => value - (b[axis] ?? 0)))),
    );
    expect(Math.min(...distances)).toBeGreaterThan(0.08);
  });

  test('make fifty lines that are all different', () => {
    const looks = Array.from({ length: seriesMax }, (_, place) => JSON.stringify(lookOf(place, theme)));
    expect(new Set(looks).size).toBe(seriesMax);
  });
});
