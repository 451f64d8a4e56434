import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bucketStart, parseResolution } from '../../src/domain/resolution.ts';
import { toSeries } from '../../src/page/columns.js';
import { stepOf, wholeBuckets } from '../../src/page/whole-buckets.js';

const at = (text: string) => Date.parse(text) / 1000;

/** The counts that are drawn of a metric that has one in each of these buckets. */
function drawn(buckets: readonly number[], asked: Partial<Parameters<typeof wholeBuckets>[0]>) {
  const entries = buckets.map((bucket) => ({ bucket, value: 1 as number | null }));
  const [count, rest] = [entries, { mean: entries, median: entries, min: entries, max: entries, last: entries }];
  const given = { resolution: '15s', timezone: 'UTC', from: 0, to: Number.POSITIVE_INFINITY, now: 1e12, ...asked };
  const { values } = toSeries({ name: 'a', count, ...rest, perc95: entries, perc99: entries }, wholeBuckets(given));
  return buckets.filter((_, index) => values.count[index] !== null);
}

describe('count and sum are of whole buckets only', () => {
  test('where buckets came wider than they are read: when those are over', () => {
    const minutes = [600, 660, 720, 840, 900];
    expect(drawn(minutes, { now: 959 })).toEqual([600, 660, 720, 840]);
    expect(drawn(minutes, { now: 960 })).toEqual(minutes);
    // They hold all of theirs, wherever the range ends.
    expect(drawn(minutes, { to: 920, now: 2_000 })).toEqual(minutes);
  });

  test('single values that come now and then are no wide buckets', () => {
    const values = [615, 1_230, 1_815, 2_445];
    expect(drawn(values, { now: 2_460 })).toEqual(values);
    expect(drawn(values, { now: 2_459 })).toEqual(values.slice(0, 3));
  });

  test('the first is left out where it begins before the range', () => {
    expect(drawn([0, 86_400, 172_800], { resolution: 'day', from: 1 })).toEqual([86_400, 172_800]);
    expect(drawn([0, 86_400, 172_800], { resolution: 'day', from: 0 })).toEqual([0, 86_400, 172_800]);
  });

  const instants = fc.integer({ min: at('2023-01-01'), max: at('2027-01-01') });
  test('a bucket is over when the service begins the next one', () => {
    const resolutions = fc.constantFrom(
      'minute',
      '15m',
      'h',
      '6h',
      'd',
      'day',
      '3d',
      'week',
      '2w',
      'mo',
      'month',
      'year',
      'y',
    );
    const zones = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Australia/Lord_Howe');
    fc.assert(
      fc.property(resolutions, zones, instants, instants, (resolution, timezone, instant, other) => {
        const parsed = parseResolution(resolution);
        if (!parsed) throw new Error(`BUG: ${resolution}`);
        const startOf = bucketStart(parsed, timezone);
        const bucket = startOf(instant);
        // Now is anywhere, or about the end of the bucket, where it matters.
        for (const now of [other, ...aboutTheEnd(bucket, startOf)]) {
          const isWhole = wholeBuckets({ resolution, timezone, from: 0, to: now, now });
          expect([now, isWhole(bucket, 0)]).toEqual([now, startOf(now) > bucket]);
        }
      }),
    );
  });

  test('a year and a month are as wide as they are, in all spellings', () => {
    expect(['year', 'y', 'month', 'mo', 'day', '15m'].map((resolution) => stepOf(resolution) / 86_400)).toEqual([
      365,
      365,
      28,
      28,
      1,
      1 / 96,
    ]);
  });
});

/** Instants about the end of a bucket. */
function aboutTheEnd(bucket: number, startOf: (instant: number) => number): number[] {
  let [inside, outside] = [bucket, bucket + 400 * 86_400];
  while (outside - inside > 1) {
    const middle = Math.floor((inside + outside) / 2);
    if (startOf(middle) === bucket) inside = middle;
    else outside = middle;
  }
  return [inside - 1_800, inside, outside, outside + 1_800];
}
