import { DDSketch } from '@datadog/sketches-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { binsOf, mergeSketches, noSketch, rankOf, readSketch, type Sketch, sketchOf } from '../../src/domain/sketch.ts';
import { anyStatistic } from '../support/summaries.ts';

const sketchOfValues = (values: readonly number[]) => sketchOf(binsOf(values));

const anyValues = fc.array(
  fc.oneof(anyStatistic, fc.double({ min: 0.001, max: 60_000, noNaN: true }), fc.integer({ min: -3, max: 500 })),
  { minLength: 1, maxLength: 200 },
);

/** Every percentile that can be asked for, as it is written: up to six decimals, also needless ones. */
const anyPercentText = fc.oneof(
  fc.constantFrom('0', '50', '95', '99', '99.99', '70', '100', '0.000001', '99.999999', '057.10'),
  fc.tuple(fc.integer({ min: 0, max: 100_000_000 }), fc.integer({ min: 0, max: 6 })).map(([parts, digits]) => {
    const text = (parts / 1_000_000).toFixed(6);
    return text.slice(0, text.length - 6 + digits).replace(/\.$/, '');
  }),
);

/** p × n / 100, rounded down, in whole numbers, of what is written. */
function exactRank(text: string, values: number): number {
  const [whole = '', decimals = ''] = text.split('.');
  const rank = (BigInt(whole + decimals.padEnd(6, '0')) * BigInt(values)) / 100_000_000n;
  return Math.min(values - 1, Number(rank));
}

function exact(values: readonly number[], percent: string): number {
  return values.toSorted((a, b) => a - b)[exactRank(percent, values.length)] ?? Number.NaN;
}

function expectWithin1Percent(estimate: number | undefined, value: number): void {
  // Below the smallest normal double there is no room for a hundredth.
  expect(Math.abs((estimate ?? Number.NaN) - value)).toBeLessThanOrEqual(Math.abs(value) * 0.010_000_1 + 1e-307);
}

describe('the rank of a percentile', () => {
  test.each([
    ['70', 90, 63],
    ['99.99', 10_000, 9_999],
    ['95', 10, 9],
    ['50', 2, 1],
    ['0', 5, 0],
    ['100', 5, 4],
    ['99.999999', 100_000_000, 99_999_999],
  ])('%s of %d values is %d', (text, values, rank) => {
    expect(rankOf(Number(text), values)).toBe(rank);
  });

  test('is p × n / 100, rounded down, for every p that can be written and any n', () => {
    const anyCount = fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 2 ** 53 - 1 }));
    fc.assert(
      fc.property(anyPercentText, anyCount, (text, values) => {
        expect(rankOf(Number(text), values)).toBe(exactRank(text, values));
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('a sketch', () => {
  test('tells every percentile within 1 % of the exact one, of one summary or merged of any parts', () => {
    fc.assert(
      fc.property(fc.array(anyValues, { minLength: 1, maxLength: 6 }), anyPercentText, (parts, text) => {
        const together = Buffer.concat(parts.map(sketchOfValues));
        const value = exact(parts.flat(), text);
        expectWithin1Percent(readSketch(together)?.percentile(Number(text)), value);
        expectWithin1Percent(readSketch(mergeSketches(together))?.percentile(Number(text)), value);
      }),
      { numRuns: 500 },
    );
  });

  test('says of positive values what the sketch of Datadog says, which merges no others', () => {
    fc.assert(
      fc.property(anyValues, anyPercentText, (values, text) => {
        const theirs = new DDSketch({ relativeAccuracy: 0.01 });
        for (const value of values) theirs.accept(value);
        // Theirs takes the value of rank q (n − 1), rounded down: asked for in the middle between two ranks.
        const last = values.length - 1;
        const rank = exactRank(text, values.length);
        const asked = rank === last ? 1 : (rank + 0.5) / last;
        expect(readSketch(sketchOfValues(values))?.percentile(Number(text))).toBe(theirs.getValueAtQuantile(asked));
      }),
    );
  });

  test('is the same in whatever order and steps it was merged, and tells of how many summaries and values it is', () => {
    fc.assert(
      fc.property(fc.array(anyValues, { minLength: 2, maxLength: 6 }), (parts) => {
        const sketches = parts.map(sketchOfValues);
        const atOnce = mergeSketches(Buffer.concat(sketches));
        const oneByOne = sketches.toReversed().reduce((a, b) => mergeSketches(Buffer.concat([a, b])));
        expect(Buffer.from(oneByOne)).toEqual(Buffer.from(atOnce));
        expect(readSketch(atOnce)).toMatchObject({ summaries: parts.length, values: parts.flat().length });
      }),
    );
  });

  test('of a minute of a hundred requests takes some hundred bytes', () => {
    const latencies = Array.from({ length: 100 }, (_, index) => 20 + 3 * Math.exp((index % 37) / 9));
    expect(sketchOfValues(latencies).length).toBeLessThan(120);
  });

  test('of no values says so', () => {
    const sketch = sketchOfValues([]);
    expect(sketch).not.toHaveLength(0);
    expect(readSketch(sketch)).toMatchObject({ summaries: 1, values: 0 });
    expect(readSketch(sketch)?.percentile(50)).toBeNaN();
    expect(mergeSketches(noSketch)).toHaveLength(0);
  });

  test('holds the smallest and the greatest doubles', () => {
    for (const value of [5e-324, 2.3e-308, 1e300, -1e300]) {
      expectWithin1Percent(readSketch(sketchOfValues([value]))?.percentile(50), value);
    }
  });
});

test('bytes that are no sketch are told apart, whatever they are', () => {
  const sketch = sketchOfValues([1, 2, 3, -4]);
  for (let length = 1; length < sketch.length; length += 1)
    expect(readSketch(sketch.subarray(0, length))).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes: Sketch) => {
      readSketch(bytes);
      expect(mergeSketches(bytes)).toBeInstanceOf(Uint8Array);
    }),
  );
});
