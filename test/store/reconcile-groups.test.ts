import { describe, expect, test } from 'vitest';
import { createSeriesGroups, type SeriesGroups } from '../../src/domain/series-groups.ts';
import { reconcileGroups } from '../../src/store/reconcile-groups.ts';
import { createRedundantStore } from '../../src/store/redundant-store.ts';
import { prepareCopies } from '../support/copies.ts';
import { groupsOf } from '../support/group-obviously.ts';
import { summaryOf } from '../support/summaries.ts';

interface Held {
  readonly bucket: number;
  readonly count: number;
  readonly hash: bigint;
}

/** What one database holds of a series. */
function copyOf(groups: readonly Held[]): SeriesGroups {
  const series = createSeriesGroups('a', groups.length);
  groups.forEach(({ bucket, count, hash }, index) => {
    series.buckets[index] = bucket;
    series.counts[index] = count;
    series.hashes[index] = hash;
    [series.earliest[index], series.latest[index]] = [bucket, bucket + count];
  });
  return series;
}

const one = { bucket: 60, count: 2, hash: 7n };
const same = { bucket: 120, count: 3, hash: 9n };
const later = { bucket: 180, count: 1, hash: 1n };

describe('groups of several databases are read summary by summary', () => {
  test.each<[string, Held]>([
    ['whose ids differ, though they are as many', { ...one, hash: 8n }],
    ['whose numbers differ, though their hash is the same', { ...one, count: 4 }],
  ])('%s', (_, other) => {
    // Also where the databases do not have the same buckets.
    for (const more of [[], [later]]) {
      const { series, differing } = reconcileGroups([copyOf([one, same]), copyOf([other, same, ...more])]);
      expect(differing.map(({ index }) => index)).toEqual([0]);
      expect([...series.buckets]).toEqual([60, 120, ...more.map(({ bucket }) => bucket)]);
      expect(series.counts[0]).toBe(one.count + other.count);
      expect([series.earliest[0], series.latest[0]]).toEqual([60, 60 + Math.max(one.count, other.count)]);
    }
  });

  test('and no others: not those that are equal, nor what only one database has', () => {
    expect(reconcileGroups([copyOf([one, same]), copyOf([one, same])]).differing).toEqual([]);
    const { series, differing } = reconcileGroups([copyOf([one]), copyOf([same, later]), copyOf([one, later])]);
    expect(differing).toEqual([]);
    expect([...series.counts]).toEqual([2, 3, 1]);
  });

  test('once a third differs from two that are equal', () => {
    const { differing } = reconcileGroups([copyOf([one]), copyOf([one]), copyOf([{ ...one, hash: 8n }])]);
    expect(differing.map(({ index }) => index)).toEqual([0]);
  });
});

test('two databases that each hold one summary of a bucket, not the same, give both', async () => {
  const { copies } = await prepareCopies(2);
  const [a, b] = [summaryOf({ name: 'a', count: 1, mean: 10 }), summaryOf({ name: 'a', count: 3, mean: 2 })];
  await copies[0]?.store.write([a]);
  await copies[1]?.store.write([b]);
  const store = createRedundantStore({
    databases: copies.map((copy) => ({ name: copy.database.name, store: copy.store })),
    acks: 1,
    writeTimeoutMs: 30_000,
    readTimeoutMs: 30_000,
    observe: () => undefined,
  });
  const found = await store.aggregate({
    namePattern: undefined,
    from: 0,
    to: 4e9,
    resolution: { amount: 1, unit: 'hour' },
    timezone: 'UTC',
    namesMax: 10,
  });
  expect(await groupsOf(found)).toMatchObject([{ name: 'a', summaries: 2, count: 4, mean: 4 }]);
});
