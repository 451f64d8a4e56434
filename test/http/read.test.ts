import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import type { AggregateQuery, Selection, Store } from '../../src/domain/store.ts';
import { type StatisticName, type Summary, statisticNames } from '../../src/domain/summary.ts';
import { aggregateObviously } from '../support/group-obviously.ts';
import { summaryOf } from '../support/summaries.ts';
import { createTestApp, now, problemOf, validSummary } from '../support/test-app.ts';

type Entries = readonly { bucket: number; value: number }[];
type Metrics = readonly ({ name: string } & Record<StatisticName, Entries>)[];

const minute = validSummary.bucket;

/** A store that finds the same whatever is asked, and remembers what was asked. */
function storeThatFinds(selection: Partial<Selection>) {
  const asked: AggregateQuery[] = [];
  const { summaries, ...found }: Selection = { summaries: [], outcomes: [], complete: true, ...selection };
  const store: Store = {
    ...createTestApp().memory,
    async aggregate(query) {
      asked.push(query);
      return { ...found, ...aggregateObviously(summaries, query) };
    },
  };
  return { store, asked };
}

async function read(summaries: readonly Summary[], query: Record<string, string> = {}): Promise<Metrics> {
  const response = await createTestApp(storeThatFinds({ summaries })).get(query);
  expect(response.status).toBe(200);
  return (await response.json()) as Metrics;
}

describe('GET /metrics', () => {
  test('answers in the shape and the order of keys that the README of the original promised', async () => {
    const { post, get } = createTestApp();
    await post(validSummary);
    const response = await get();
    expect(response.status).toBe(200);
    expect(response.headers.get('Content-Type')).toMatch(/^application\/json/);
    const entry = (value: number) => `[{"bucket":1355202720,"value":${value}}]`;
    expect(await response.text()).toBe(
      `[{"name":"foo.web.requests","count":${entry(10)},"mean":${entry(2.5)},"median":${entry(2.25)},` +
        `"min":${entry(1)},"max":${entry(9.5)},"perc95":${entry(8.5)},"perc99":${entry(9.25)},"last":${entry(3.75)}}]`,
    );
  });

  test('answers an empty list when nothing is found', async () => {
    const response = await createTestApp().get();
    expect([response.status, await response.text()]).toEqual([200, '[]']);
  });

  test('sorts names and, within a name, buckets', async () => {
    const summaries = ['b', 'a', 'b'].map((name, index) => summaryOf({ name, bucket: minute - index * 60 }));
    const metrics = await read(summaries);
    expect(metrics.map(({ name }) => name)).toEqual(['a', 'b']);
    for (const statistic of statisticNames) {
      expect(metrics[1]?.[statistic]?.map(({ bucket }) => bucket)).toEqual([minute - 120, minute]);
    }
  });

  test('merges what falls into one bucket', async () => {
    const first = { bucket: minute, count: 1, mean: 1, median: 1, min: 1, max: 1, perc95: 1, perc99: 1, last: 1 };
    const second = { bucket: minute + 1, count: 3, mean: 5, median: 4, min: 2, max: 9, perc95: 7, perc99: 8, last: 6 };
    const [metric] = await read([summaryOf(second), summaryOf(first)]);
    const values = statisticNames.map((statistic) => metric?.[statistic]);
    expect(values).toEqual([4, 4, 4, 1, 9, 7, 8, 6].map((value) => [{ bucket: minute, value }]));
  });

  test('without parameters asks for every name of the last hour, by the minute', async () => {
    const { store, asked } = storeThatFinds({ summaries: [summaryOf({ bucket: minute + 29 })] });
    const [metric] = (await (await createTestApp({ store }).get()).json()) as Metrics;
    const hour = { from: now - 3_600, to: now, resolution: { amount: 1, unit: 'minute' }, timezone: 'UTC' };
    expect(asked).toEqual([{ namePattern: undefined, percentiles: [], namesMax: 10_000, ...hour }]);
    expect(metric?.count?.[0]?.bucket).toBe(minute);
  });

  test('hands pattern and range to the store as they are', async () => {
    const { store, asked } = storeThatFinds({});
    const query = { name: '^foo\\.(a|b)$', from: '2012-12-11 04:00:00 UTC', to: '1355202000.5' };
    expect((await createTestApp({ store }).get(query)).status).toBe(200);
    expect(asked).toMatchObject([{ namePattern: query.name, from: 1_355_198_400, to: 1_355_202_000.5 }]);
  });

  test('groups by the days of the time zone', async () => {
    // 05:12 UTC is 06:12 of the 11th in Berlin, a day that began at 23:00 UTC; in Los Angeles it is still the 10th.
    const startIn = async (timezone: string) => {
      const [metric] = await read([summaryOf({ bucket: minute })], { resolution: 'day', timezone });
      return metric?.count?.[0]?.bucket;
    };
    expect(await startIn('UTC')).toBe(Date.UTC(2012, 11, 11) / 1000);
    expect(await startIn('Europe/Berlin')).toBe(Date.UTC(2012, 11, 10, 23) / 1000);
    expect(await startIn('America/Los_Angeles')).toBe(Date.UTC(2012, 11, 10, 8) / 1000);
  });
});

describe('who answered a read', () => {
  const outcomes = [
    { database: 'db1', outcome: 'ok' },
    { database: 'db2', outcome: 'timeout' },
  ] as const;

  test.each([true, false])('is told in headers, and whether that is complete (%s)', async (complete) => {
    const response = await createTestApp(storeThatFinds({ outcomes, complete })).get();
    expect(response.status).toBe(200);
    expect(response.headers.get('M2pg-Databases')).toBe('db1=ok, db2=timeout');
    expect(response.headers.get('M2pg-Complete')).toBe(String(complete));
    expect(response.headers.get('Cache-Control')).toBe('no-store');
  });

  test('makes a 503 of an incomplete answer with partial=refuse', async () => {
    const response = await createTestApp(storeThatFinds({ outcomes, complete: false })).get({ partial: 'refuse' });
    expect(response.status).toBe(503);
    expect(response.headers.get('Retry-After')).toBe('2');
    expect(response.headers.get('M2pg-Databases')).toBe('db1=ok, db2=timeout');
    expect(response.headers.get('M2pg-Complete')).toBe('false');
    expect(response.headers.get('Cache-Control')).toBe('no-store');
    expect(await problemOf(response)).toMatchObject({
      type: 'urn:m2pg:problem:incomplete',
      detail: 'the answer would be incomplete: db1=ok, db2=timeout',
    });
  });

  test('does not matter to partial=refuse when the answer is complete all the same', async () => {
    const response = await createTestApp(storeThatFinds({ outcomes })).get({ partial: 'refuse' });
    expect(response.status).toBe(200);
  });

  test('is 503 when it was nobody', async () => {
    const { get, memory } = createTestApp();
    memory.failure = new Failure('no_database', 'no database answered');
    const response = await get();
    expect([response.status, response.headers.get('Retry-After')]).toEqual([503, '2']);
    expect(await problemOf(response)).toMatchObject({ type: 'urn:m2pg:problem:no_database' });
  });
});

describe('RETENTION', () => {
  const retentionSeconds = 7 * 86_400;

  test.each([
    ['clips a range that begins before it', '-8d', now - retentionSeconds],
    ['leaves a range alone that begins within it', '-6d', now - 6 * 86_400],
  ])('%s', async (_, from, clipped) => {
    const { store, asked } = storeThatFinds({});
    expect((await createTestApp({ store, retentionSeconds }).get({ from, resolution: 'hour' })).status).toBe(200);
    expect(asked).toMatchObject([{ namePattern: undefined, from: clipped, to: now }]);
  });

  test('hides what is past it and still there', async () => {
    const { memory, get } = createTestApp({ retentionSeconds });
    const past = summaryOf({ bucket: now - retentionSeconds - 1, count: 100 });
    const kept = summaryOf({ bucket: now - retentionSeconds, count: 1 });
    await memory.write([past, kept]);
    const [metric] = (await (await get({ from: '-30d', resolution: 'hour' })).json()) as Metrics;
    expect(metric?.count.map(({ value }) => value)).toEqual([1]);
  });
});

describe('the number of names in an answer', () => {
  const named = (length: number) => Array.from({ length }, (_, index) => summaryOf({ name: `n${index}` }));

  test('may be 10,000', async () => {
    expect(await read(named(10_000))).toHaveLength(10_000);
  });

  test('over 10,000 is 422, and asks for a narrower name', async () => {
    const response = await createTestApp(storeThatFinds({ summaries: named(10_001) })).get();
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toEqual([
      { path: 'name', message: 'matches more than 10000 names with data in the range: narrow it' },
    ]);
  });
});
