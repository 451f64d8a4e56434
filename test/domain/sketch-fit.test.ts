import { DDSketch, LogCollapsingLowestDenseDDSketch } from '@datadog/sketches-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { binsOf, readSketch, sketchOf } from '../../src/domain/sketch.ts';
import { fitSketch, type SentSketch } from '../../src/domain/sketch-fit.ts';
import { sketchFromProto } from '../../src/domain/sketch-proto.ts';
import { summarize } from '../../src/domain/summarize.ts';
import type { Statistics } from '../../src/domain/summary.ts';
import { go, java, type Limit, protoOf, python } from '../support/foreign-sketches.ts';
import { anyStatistic } from '../support/summaries.ts';

const libraries = { go, java, python };
const anyLibrary = fc.constantFrom(go, java, python);

/** Latencies, whole numbers of both signs, bounds of bins such as 1, zeros, and all that a statistic may be. */
const anyValues = fc.oneof(
  fc.array(fc.double({ min: 0.001, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 100 }),
  fc.array(fc.integer({ min: -3, max: 500 }), { minLength: 1, maxLength: 100 }),
  fc.array(fc.constantFrom(-1, 1, 0.5, 2, 0), { minLength: 1, maxLength: 40 }),
  fc.array(anyStatistic, { minLength: 1, maxLength: 40 }),
);

function statisticsOf(values: readonly number[]): Statistics {
  const mean = values.reduce((sum, value) => sum + value / values.length, 0);
  const { median, min, max, perc95, perc99, last } = summarize('sample', values);
  return { count: values.length, mean, median, min, max, perc95, perc99, last };
}

function sentOf(proto: Uint8Array): SentSketch {
  const read = sketchFromProto(proto);
  if ('problem' in read) throw new Error(read.problem);
  return read;
}

function fittedOf(proto: Uint8Array, statistics: Statistics) {
  const fitted = fitSketch(sentOf(proto), statistics);
  if ('problem' in fitted) throw new Error(fitted.problem);
  return readSketch(fitted.sketch);
}

function expectPercentiles(values: readonly number[], found: ReturnType<typeof readSketch>): void {
  const inOrder = values.toSorted((a, b) => a - b);
  inOrder.forEach((exact, rank) => {
    // In the middle between two ranks.
    const estimate = found?.percentile((100 * (rank + 0.5)) / inOrder.length) ?? Number.NaN;
    expect(Math.abs(estimate - exact)).toBeLessThanOrEqual(Math.abs(exact) * 0.010_001 + 3e-308);
  });
}

describe('a sketch', () => {
  test('of whichever library gives all percentiles within 1 % of the exact ones', () => {
    fc.assert(
      fc.property(anyLibrary, anyValues, (library, values) => {
        const found = fittedOf(protoOf(library, values), statisticsOf(values));
        expect(found?.values).toBe(values.length);
        expectPercentiles(values, found);
      }),
      { numRuns: 1_000 },
    );
  });

  test('of whichever library is the same, but where a value is the bound of a bin', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 1.01, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const [ours, ...theirs] = [sketchOf(binsOf(values)), ...Object.values(libraries)];
        for (const library of theirs) {
          expect(fitSketch(sentOf(protoOf(library, values)), statisticsOf(values))).toEqual({ sketch: ours });
        }
      }),
    );
  });

  test('of the library for JavaScript stays as it is', () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        const sketch = new DDSketch({ relativeAccuracy: 0.01 });
        for (const value of values) sketch.accept(value);
        const sent = sentOf(sketch.toProto());
        expect(fitSketch(sent, statisticsOf(values))).toEqual({ sketch: sketchOf(sent.bins) });
      }),
    );
  });

  test('is taken with statistics of four digits, also where those are at the other side of the bound of a bin', () => {
    for (const [library, sides] of [go, java, python].flatMap((one) => [
      [one, 0.999_99] as const,
      [one, 1.000_01] as const,
    ])) {
      for (let bound = 1; bound < 400; bound += 1) {
        const values = [library.gamma ** bound * sides, 1e6];
        const entries = Object.entries(statisticsOf(values)).map(([name, value]) => [
          name,
          Number(value.toPrecision(4)),
        ]);
        expect(fitSketch(sentOf(protoOf(library, values)), Object.fromEntries(entries))).toHaveProperty('sketch');
      }
    }
  });

  test('of no values fits whatever the statistics are', () => {
    expect(fitSketch(sentOf(protoOf(go, [])), { ...statisticsOf([1]), count: 0, max: -1 })).toEqual({
      sketch: sketchOf(binsOf([])),
    });
  });

  test.each<[string, readonly number[]]>([
    ['a one at both ends', [-1, 0.5, 1]],
    ['ones, and values whose mean is theirs in both ways', [-1, -0.5, 0.5, 1]],
    ['a thousand ones and some less', [-1, ...Array(1_000).fill(1), ...Array(10).fill(0.5)]],
    ['ones only', [1, 1, 1]],
    ['one value', [0.37]],
    ['zeros only', [0, 0]],
    ['zeros and ones', [0, 0, 1]],
    ['negative values', [-900, -30, -0.01]],
    ['the smallest and the greatest', [-1e300, -5e-324, 3e-308, 1e300]],
  ])('of %s is recognised', (_, values) => {
    for (const library of Object.values(libraries)) {
      expectPercentiles(values, fittedOf(protoOf(library, values), statisticsOf(values)));
    }
  });
});

describe('a sketch is refused', () => {
  const values = [1.5, 20, 300, 4_000];
  const refused = (proto: Uint8Array, more: object) => fitSketch(sentOf(proto), { ...statisticsOf(values), ...more });

  test.each<[string, object, RegExp]>([
    ['of another count', { count: 5 }, /is of 4 values, and count says 5/],
    ['whose min is lower than its values', { min: 1.4 }, /lowest values are 1\.4\d* to 1\.5\d*, and min is 1\.4;/],
    ['whose min is higher', { min: 1.6 }, /min is 1\.6/],
    ['whose min is zero', { min: 0 }, /min is 0/],
    ['whose min is negative', { min: -1.5 }, /min is -1\.5/],
    ['whose max is higher than its values', { max: 4_200 }, /highest values are 3\d+.* to 4\d+.*, and max is 4200/],
    ['whose max is lower', { max: 3_800 }, /max is 3800/],
  ])('%s', (_, more, problem) => {
    for (const library of Object.values(libraries)) {
      expect(refused(protoOf(library, values), more)).toEqual({ problem: expect.stringMatching(problem) });
    }
  });

  test('whose zeros are no min', () => {
    const zeros = { ...statisticsOf([0, 1, 1, 2]), min: 0.5 };
    expect(fitSketch(sentOf(protoOf(go, [0, 1, 1, 2])), zeros)).toEqual({
      problem: expect.stringMatching(/lowest values are 0, and min is 0\.5/),
    });
  });

  test('whose ends fit only if its bins are numbered in two ways', () => {
    const mixed = protoOf(go, [1.5, 20]);
    const statistics = { ...statisticsOf([1.5, 20]), max: 20 / go.gamma };
    expect(fitSketch(sentOf(mixed), statistics)).toEqual({
      problem: expect.stringMatching(/either min, 1\.5, or max, 19\.6\d*, is a bin away/),
    });
  });

  test('that was limited to fewer bins than its values need, at either end and of either sign', () => {
    const anySign = fc.constantFrom(1, -1);
    const anyLimit: fc.Arbitrary<Limit> = fc.record({
      bins: fc.integer({ min: 1, max: 300 }),
      merged: fc.constantFrom('lowest', 'highest'),
    });
    const latencies = fc.array(fc.double({ min: 0.001, max: 60_000, noNaN: true }), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(anyLibrary, anySign, anyLimit, latencies, (library, sign, limit, sizes) => {
        const all = sizes.map((size) => sign * size);
        const indices = sizes.map(library.indexOf);
        const needed = Math.max(...indices) - Math.min(...indices) + 1;
        const fitted = fitSketch(sentOf(protoOf(library, all, limit)), statisticsOf(all));
        // One bin too few leaves the ends where they may be by rounding.
        if (needed > limit.bins + 1) expect(fitted).toHaveProperty('problem');
        if (needed <= limit.bins) expect(fitted).toHaveProperty('sketch');
      }),
      { numRuns: 1_000 },
    );
  });

  test('that the library for JavaScript has limited', () => {
    const sketch = new LogCollapsingLowestDenseDDSketch({ relativeAccuracy: 0.01, binLimit: 100 });
    for (const value of values) sketch.accept(value);
    expect(refused(sketch.toProto(), {})).toEqual({ problem: expect.stringMatching(/limited to fewer bins/) });
  });
});
