import fc from 'fast-check';
import { v7 } from 'uuid';
import { binsOf, sketchOf } from '../../src/domain/sketch.ts';
import { type Summary, statisticNames } from '../../src/domain/summary.ts';

/** A summary with distinct statistics, so that a mix-up of two shows. */
export function summaryOf(fields: Partial<Summary> = {}): Summary {
  return {
    id: v7(),
    name: 'foo.web.requests',
    bucket: Math.floor(Date.now() / 60_000) * 60,
    count: 10,
    mean: 2.5,
    median: 2.25,
    min: 1,
    max: 9.5,
    perc95: 8.5,
    perc99: 9.25,
    last: 3.75,
    ...fields,
  };
}

/** Any statistic that m2pg accepts. Minus zero is stored as zero, which it equals. */
export const anyStatistic = fc.double({ min: -1e300, max: 1e300, noNaN: true }).map((value) => value + 0);

/** Of no values up to some, of all sizes. */
export const anySketch = fc
  .array(fc.oneof(anyStatistic, fc.integer({ min: -5, max: 2_000 })), { maxLength: 20 })
  .map((values) => sketchOf(binsOf(values)));

/**
 * Any valid summary whose bucket is within an hour before the given Unix seconds, of few names and buckets. The last two
 * names are in another order for JavaScript than by their bytes.
 */
export function anySummary(before: number): fc.Arbitrary<Summary> {
  const statistics = Object.fromEntries(
    statisticNames.map((name) => [name, name === 'count' ? fc.nat(1_000_000) : anyStatistic]),
  );
  const bare = fc.record({
    id: fc.uuid({ version: 7 }),
    name: fc.constantFrom('a', 'a.b', 'ü.b', '\uFB00', '😀'),
    bucket: fc.nat(3_600).map((ago) => Math.floor(before) - ago),
    ...statistics,
  }) as unknown as fc.Arbitrary<Summary>;
  return fc.tuple(bare, anySketch).map(([summary, sketch]) => ({
    ...summary,
    // All of one name, as most senders do; none, or some of them.
    ...((summary.name === 'a' || summary.name === 'ü.b') && { sketch }),
    ...(summary.name === '😀' && sketch.length % 2 === 0 && { sketch }),
    ...(summary.name === 'a' && { units: 'ms' }),
  }));
}
