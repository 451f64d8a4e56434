import { DDSketch } from '@datadog/sketches-js';
import { describe, expect, test } from 'vitest';
import { statisticNames } from '../../src/domain/summary.ts';
import { createTestApp, validSummary } from '../support/test-app.ts';

type Entry = { readonly bucket: number; readonly value: number; readonly accuracy?: string };
type Series = Readonly<Record<string, readonly Entry[]>>;

const { bucket } = validSummary;

function sketched(name: string, at: number) {
  const sketch = new DDSketch({ relativeAccuracy: 0.01 });
  for (const value of [1, 2, 9.5]) sketch.accept(value);
  return { ...validSummary, name, bucket: at, count: 3, sketch: Buffer.from(sketch.toProto()).toString('base64') };
}

/** In the latest minute each has one summary, in the one before several: that carry sketches, some of which do, or none. */
const summaries = [
  ...['all', 'some', 'none'].map((name) => sketched(name, bucket)),
  ...[1, 2].map((seconds) => sketched('all', bucket - 60 + seconds)),
  sketched('some', bucket - 60),
  { ...validSummary, name: 'some', bucket: bucket - 60 },
  ...[1, 2, 3].map((value) => ({ name: 'none', bucket: bucket - 60 + value, value })),
];

async function read(query: Record<string, string>): Promise<Response> {
  const { post, get } = createTestApp();
  expect((await post(summaries)).status).toBe(201);
  const response = await get(query);
  expect(response.status).toBe(200);
  return response;
}

describe('the accuracy of what is read', () => {
  test('is told of each value when it is asked for: exact, within 1 %, or an upper bound', async () => {
    const found = (await (await read({ accuracy: 'true', perc: '50' })).json()) as (Series & { name: string })[];
    const of = (name: string, statistic: string) =>
      found.find((series) => series.name === name)?.[statistic]?.map(({ accuracy }) => accuracy);
    const several = { all: 'within_1_percent', some: 'upper_bound', none: 'upper_bound' };
    for (const [name, accuracy] of Object.entries(several)) {
      for (const statistic of ['median', 'perc95', 'perc99']) expect(of(name, statistic)).toEqual([accuracy, 'exact']);
      for (const statistic of ['count', 'mean', 'min', 'max', 'last'])
        expect(of(name, statistic)).toEqual(['exact', 'exact']);
    }
    expect(of('all', 'perc50')).toEqual(['within_1_percent', 'within_1_percent']);
    // Told only where every summary carries a sketch.
    expect(of('some', 'perc50')).toEqual(['within_1_percent']);
  });

  test.each([{}, { accuracy: 'false' }])('is left out otherwise (%j)', async (query) => {
    const [series] = (await (await read(query)).json()) as Series[];
    for (const statistic of statisticNames)
      expect(Object.keys(series?.[statistic]?.[0] ?? {})).toEqual(['bucket', 'value']);
  });

  test('is told in CSV in columns after all others', async () => {
    const csv = await (await read({ format: 'csv', accuracy: 'true', perc: '50' })).text();
    const [header = '', ...lines] = csv.trim().split('\r\n');
    const columns = header.split(',');
    const values = [...statisticNames, 'perc50'];
    expect(columns.slice(3)).toEqual([...values, 'units', ...values.map((value) => `${value}_accuracy`)]);
    const cell = (line: string | undefined, column: string) => line?.split(',')[columns.indexOf(column)];
    const told = (line: string | undefined) =>
      ['name', 'mean_accuracy', 'median_accuracy', 'perc99_accuracy', 'perc50_accuracy'].map((column) =>
        cell(line, column),
      );
    expect(lines.map(told)).toEqual([
      ['all', 'exact', 'within_1_percent', 'within_1_percent', 'within_1_percent'],
      ['all', 'exact', 'exact', 'exact', 'within_1_percent'],
      ['none', 'exact', 'upper_bound', 'upper_bound', ''],
      ['none', 'exact', 'exact', 'exact', 'within_1_percent'],
      ['some', 'exact', 'upper_bound', 'upper_bound', ''],
      ['some', 'exact', 'exact', 'exact', 'within_1_percent'],
    ]);
    expect(lines.every((line) => line.split(',').length === columns.length)).toBe(true);
  });
});
