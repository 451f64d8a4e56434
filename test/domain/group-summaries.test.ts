import fc from 'fast-check';
import { expect, test } from 'vitest';
import { groupSummaries, type Series } from '../../src/domain/group-summaries.ts';
import { mergeSummaries } from '../../src/domain/merge-summaries.ts';
import type { Summary } from '../../src/domain/summary.ts';
import { anySummary, summaryOf } from '../support/summaries.ts';

const minute = (instant: number) => Math.floor(instant / 60) * 60;
const quarter = (instant: number) => Math.floor(instant / 900) * 900;

/** The slow, obvious way: every name with every bucket, and of each pair the summaries that belong to it. */
function groupSlowly(summaries: readonly Summary[], startOf: (instant: number) => number): Series[] {
  const names = [...new Set(summaries.map(({ name }) => name))].sort();
  const buckets = [...new Set(summaries.map(({ bucket }) => startOf(bucket)))].sort((a, b) => a - b);
  return names.map((name) => ({
    name,
    points: buckets.flatMap((bucket) => {
      const found = summaries.filter((summary) => summary.name === name && startOf(summary.bucket) === bucket);
      return found.length > 0 ? [{ bucket, ...mergeSummaries(found) }] : [];
    }),
  }));
}

test('sorts names and, as numbers, buckets', () => {
  const summaries = ['b', 'a.b', 'a', 'B', 'a'].map((name, index) => summaryOf({ name, bucket: 1_200 - index * 300 }));
  const series = groupSummaries(summaries, minute);
  expect(series.map(({ name }) => name)).toEqual(['B', 'a', 'a.b', 'b']);
  expect(series[1]?.points.map(({ bucket }) => bucket)).toEqual([0, 600]);
  const numbers = [10_020, 9_960, 960].map((bucket) => summaryOf({ bucket }));
  expect(groupSummaries(numbers, minute)[0]?.points.map(({ bucket }) => bucket)).toEqual([960, 9_960, 10_020]);
});

test('puts into one bucket what starts within it, and into the next what starts at its end', () => {
  const summaries = [60, 60.5, 119.999999, 120].map((bucket) => summaryOf({ bucket, count: 1 }));
  const [series] = groupSummaries(summaries, minute);
  expect(series?.points.map(({ bucket, count }) => [bucket, count])).toEqual([
    [60, 3],
    [120, 1],
  ]);
});

test('never merges summaries of two names', () => {
  const series = groupSummaries([summaryOf({ name: 'a', count: 1 }), summaryOf({ name: 'b', count: 2 })], minute);
  expect(series.map(({ name, points }) => [name, points[0]?.count])).toEqual([
    ['a', 1],
    ['b', 2],
  ]);
});

test('gives no series of no summaries', () => {
  expect(groupSummaries([], minute)).toEqual([]);
});

test('equals the slow, obvious grouping', () => {
  const summaries = fc.uniqueArray(anySummary(1_700_000_000), { selector: ({ id }) => id });
  fc.assert(
    fc.property(summaries, fc.constantFrom(minute, quarter), (given, startOf) => {
      expect(groupSummaries(given, startOf)).toEqual(groupSlowly(given, startOf));
    }),
  );
});
