import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeSummaries } from '../../src/domain/merge-summaries.ts';
import { binsOf, sketchOf } from '../../src/domain/sketch.ts';
import { type Summary, statisticNames } from '../../src/domain/summary.ts';
import { anySummary, summaryOf } from '../support/summaries.ts';

const now = 1_700_000_000;

/** Summaries of few buckets and sometimes of count 0, so that the ties between them occur. */
const manySummaries = fc.uniqueArray(
  anySummary(now).map((summary) => ({
    ...summary,
    bucket: Math.floor(summary.bucket / 900) * 900,
    count: summary.count % 3 === 0 ? 0 : summary.count,
  })),
  { selector: ({ id }) => id, minLength: 1, maxLength: 12 },
);

function merge(...parts: readonly Partial<Summary>[]) {
  return mergeSummaries(parts.map((part) => summaryOf({ bucket: now, ...part })));
}

describe('the merged statistics', () => {
  test('count the sum of the counts', () => {
    expect(merge({ count: 1 }, { count: 41 }, { count: 0.5 }).count).toBe(42.5);
  });

  test.each([
    ['weighted by count', [1, 10], [3, 20], 17.5],
    ['the one that counts where the other counts 0', [0, 1e9], [2, 20], 20],
    ['plain where all count 0', [0, 10], [0, 20], 15],
    ['between opposites of the greatest magnitude', [7, -1e300], [7, 1e300], 0],
  ])('have a mean that is %s', (_, [count1, mean1], [count2, mean2], mean) => {
    const parts = [
      { count: count1 as number, mean: mean1 as number },
      { count: count2 as number, mean: mean2 as number },
    ];
    expect(merge(...parts).mean).toBeCloseTo(mean);
    expect(merge(...parts.toReversed()).mean).toBeCloseTo(mean);
  });

  test('have the least min and the greatest max', () => {
    const { min, max } = merge({ min: 5, max: 6 }, { min: -7, max: -6 }, { min: 0, max: 9 });
    expect([min, max]).toEqual([-7, 9]);
  });

  test.each(['median', 'perc95', 'perc99'] as const)('have the greatest %s, negative ones included', (statistic) => {
    expect(merge({ [statistic]: 3 }, { [statistic]: 11 }, { [statistic]: 5 })[statistic]).toBe(11);
    expect(merge({ [statistic]: -3 }, { [statistic]: -11 })[statistic]).toBe(-3);
  });

  test('have the last of the latest bucket, whatever the ids', () => {
    const early = { bucket: now, last: 1, id: 'ffffffff-0000-7000-8000-000000000000' };
    const late = { bucket: now + 1, last: 2, id: '00000000-0000-7000-8000-000000000000' };
    expect(merge(early, late).last).toBe(2);
    expect(merge(late, early).last).toBe(2);
  });

  test('have the last of the greatest id within one bucket', () => {
    const lesser = { last: 2, id: '0190a000-0000-7000-8000-000000000009' };
    const greater = { last: 1, id: '0190a000-0000-7000-8000-00000000000a' };
    expect(merge(lesser, greater).last).toBe(1);
    expect(merge(greater, lesser).last).toBe(1);
  });

  test('are refused of nothing, which is a mistake of the caller', () => {
    expect(() => mergeSummaries([])).toThrow('BUG:');
  });

  test('hold no field but the eight', () => {
    expect(Object.keys(merge({}, {}))).toEqual([...statisticNames]);
  });
});

describe('the percentiles of several', () => {
  const sketched = (...values: number[]) => ({ sketch: sketchOf(binsOf(values)), min: 0, max: 1_000 });

  test('are those of their values together, where all carry a sketch', () => {
    const merged = merge(sketched(...Array<number>(98).fill(10)), sketched(500, 900));
    expect(merged.median).toBeCloseTo(10, 0);
    expect(merged.perc95).toBeCloseTo(10, 0);
    // At 99 of 100, counted from 0.
    expect(Math.abs(merged.perc99 - 900)).toBeLessThan(9);
  });

  test('are the greatest, where one of them carries none', () => {
    const parts = [
      { ...sketched(1, 2, 3), median: 2 },
      { median: 7, perc95: 8, perc99: 9 },
    ];
    expect(merge(...parts)).toMatchObject({ median: 7, perc95: 8.5, perc99: 9.25 });
    expect(merge(...parts.toReversed())).toMatchObject({ median: 7 });
  });

  test('are never outside of min and max, which are exact', () => {
    const merged = merge({ ...sketched(7), min: 7, max: 7 }, { ...sketched(7), min: 7, max: 7 });
    expect(merged).toMatchObject({ median: 7, perc95: 7, perc99: 7 });
  });

  test('are the greatest where somebody has made something else of a sketch', () => {
    const broken = { ...sketched(1), sketch: Uint8Array.of(9, 9, 9), median: 4 };
    expect(merge(broken, { ...sketched(1), median: 3 })).toMatchObject({ median: 4 });
  });

  test('of one are its own, whatever its sketch says', () => {
    expect(merge({ ...sketched(1, 2, 3), median: 77 }).median).toBe(77);
  });
});

describe('merging', () => {
  test('leaves one summary exactly as it is', () => {
    fc.assert(
      fc.property(anySummary(now), (summary) => {
        const { id, name, bucket, sketch, units, ...statistics } = summary;
        expect(mergeSummaries([summary])).toEqual(statistics);
      }),
    );
  });

  test('gives the same to the last bit, whatever the order', () => {
    const inTwoOrders = manySummaries.chain((summaries) =>
      fc.tuple(fc.constant(summaries), fc.shuffledSubarray(summaries, { minLength: summaries.length })),
    );
    fc.assert(
      fc.property(inTwoOrders, ([summaries, shuffled]) => {
        expect(mergeSummaries(shuffled)).toEqual(mergeSummaries(summaries));
      }),
    );
  });

  test('leaves what it is given unchanged', () => {
    const summaries = Object.freeze([summaryOf({ bucket: now + 1 }), summaryOf({ bucket: now })].map(Object.freeze));
    expect(() => mergeSummaries(summaries as Summary[])).not.toThrow();
  });

  test('gives a mean between the least and the greatest mean, but for rounding', () => {
    fc.assert(
      fc.property(manySummaries, (summaries) => {
        const means = summaries.map(({ mean }) => mean);
        const rounding = 1e-12 * Math.max(...means.map(Math.abs));
        const { mean } = mergeSummaries(summaries);
        expect(mean).toBeGreaterThanOrEqual(Math.min(...means) - rounding);
        expect(mean).toBeLessThanOrEqual(Math.max(...means) + rounding);
      }),
    );
  });

  test('gives the mean of the values where every summary is a raw point', () => {
    const values = fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 1 });
    fc.assert(
      fc.property(values, (given) => {
        const sum = given.reduce((total, value) => total + value, 0);
        expect(merge(...given.map((mean) => ({ count: 1, mean }))).mean).toBeCloseTo(sum / given.length, 9);
      }),
    );
  });

  test('stays finite at the greatest magnitudes and counts', () => {
    const extreme = fc.record({
      count: fc.constantFrom(0, Number.MIN_VALUE, 1, 2 ** 53),
      mean: fc.constantFrom(-1e300, 0, 1e300),
    });
    fc.assert(
      fc.property(fc.array(extreme, { minLength: 1 }), (parts) => {
        expect(Object.values(merge(...parts)).filter((value) => !Number.isFinite(value))).toEqual([]);
      }),
    );
    expect(merge({ count: 2 ** 53, mean: 1e300 }, { count: 2 ** 53, mean: 1e300 }).mean).toBe(1e300);
  });
});
