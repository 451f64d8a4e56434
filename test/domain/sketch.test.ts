import { DDSketch } from '@datadog/sketches-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { binsOf, mergeSketches, noSketch, readSketch, type Sketch, sketchOf } from '../../src/domain/sketch.ts';
import { anyStatistic } from '../support/summaries.ts';

const sketchOfValues = (values: readonly number[]) => sketchOf(binsOf(values));

const anyValues = fc.array(
  fc.oneof(anyStatistic, fc.double({ min: 0.001, max: 60_000, noNaN: true }), fc.integer({ min: -3, max: 500 })),
  { minLength: 1, maxLength: 200 },
);

const anyQuantile = fc.oneof(fc.constantFrom(0, 0.5, 0.95, 0.99, 1), fc.double({ min: 0, max: 1, noNaN: true }));

/** The value of rank q n, counted from 0, rounded down: what a sketch tells an estimate of. */
function exact(values: readonly number[], quantile: number): number {
  return (
    values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(quantile * values.length))] ?? Number.NaN
  );
}

function expectWithin1Percent(estimate: number | undefined, value: number): void {
  // Below the smallest normal double there is no room for a hundredth.
  expect(Math.abs((estimate ?? Number.NaN) - value)).toBeLessThanOrEqual(Math.abs(value) * 0.010_000_1 + 1e-307);
}

describe('a sketch', () => {
  test('tells every percentile within 1 % of the exact one, of one summary or merged of any parts', () => {
    fc.assert(
      fc.property(fc.array(anyValues, { minLength: 1, maxLength: 6 }), anyQuantile, (parts, quantile) => {
        const together = Buffer.concat(parts.map(sketchOfValues));
        const value = exact(parts.flat(), quantile);
        expectWithin1Percent(readSketch(together)?.quantile(quantile), value);
        expectWithin1Percent(readSketch(mergeSketches(together))?.quantile(quantile), value);
      }),
      { numRuns: 500 },
    );
  });

  test('says of positive values what the sketch of Datadog says, which merges no others', () => {
    fc.assert(
      fc.property(anyValues, anyQuantile, (values, quantile) => {
        const theirs = new DDSketch({ relativeAccuracy: 0.01 });
        for (const value of values) theirs.accept(value);
        // Theirs takes the value of rank q (n − 1), rounded down: asked for in the middle between two ranks.
        const last = values.length - 1;
        const rank = Math.min(last, Math.floor(quantile * values.length));
        const asked = rank === last ? 1 : (rank + 0.5) / last;
        expect(readSketch(sketchOfValues(values))?.quantile(quantile)).toBe(theirs.getValueAtQuantile(asked));
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
    expect(readSketch(sketch)?.quantile(0.5)).toBeNaN();
    expect(mergeSketches(noSketch)).toHaveLength(0);
  });

  test('holds the smallest and the greatest doubles', () => {
    for (const value of [5e-324, 2.3e-308, 1e300, -1e300]) {
      expectWithin1Percent(readSketch(sketchOfValues([value]))?.quantile(0.5), value);
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
