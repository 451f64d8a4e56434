import { describe, expect, test } from 'vitest';
import { createSeriesGroups, type SeriesGroups } from '../../src/domain/series-groups.ts';
import { binsOf, sketchOf } from '../../src/domain/sketch.ts';
import { sketchToProto } from '../../src/domain/sketch-proto.ts';
import { renderMetricsCsv } from '../../src/http/views/metrics-csv.ts';
import { createTestApp, problemOf, validSummary } from '../support/test-app.ts';

const sketchOfTwo = Buffer.from(sketchToProto(sketchOf(binsOf([3, 3]))) ?? []).toString('base64');

const statistics = 'name,bucket,time,count,mean,median,min,max,perc95,perc99,last';
const header = `${statistics},units`;
/** Without units. */
const line = '1355202720,2012-12-11T05:12:00Z,10,2.5,2.25,1,9.5,8.5,9.25,3.75,';

async function csvOf(names: readonly string[]): Promise<string> {
  const { post, get } = createTestApp();
  await post(names.map((name) => ({ ...validSummary, name })));
  return (await get({ format: 'csv' })).text();
}

describe('a read as CSV', () => {
  test('has a header line, then a line for each name and bucket, each ended by CRLF', async () => {
    const { post, get } = createTestApp();
    await post([
      validSummary,
      { ...validSummary, bucket: 1_355_202_660.5, mean: -1e-7 },
      { ...validSummary, name: 'a' },
    ]);
    const response = await get({ format: 'csv' });
    expect(response.status).toBe(200);
    expect(response.headers.get('Content-Type')).toBe('text/csv; charset=utf-8; header=present');
    expect(response.headers.get('M2pg-Complete')).toBe('true');
    expect((await response.text()).split('\r\n')).toEqual([
      header,
      `a,${line}`,
      'foo.web.requests,1355202660,2012-12-11T05:11:00Z,10,-1e-7,2.25,1,9.5,8.5,9.25,3.75,',
      `foo.web.requests,${line}`,
      '',
    ]);
  });

  test('is a header line where nothing is found', async () => {
    expect(await csvOf([])).toBe(`${header}\r\n`);
  });

  test('has the percentiles that were asked for in columns of their own, empty where they cannot be told', async () => {
    const { post, get } = createTestApp();
    await post([
      { ...validSummary, count: 2, min: 3, max: 3, sketch: sketchOfTwo },
      { ...validSummary, name: 'z' },
    ]);
    const lines = (await (await get({ format: 'csv', perc: '50,99.9' })).text()).split('\r\n');
    expect(lines[0]).toBe(`${statistics},perc50,perc99.9,units`);
    expect(lines[1]).toMatch(/,3\.75,(3|2\.9\d*|3\.0\d*),(3|2\.9\d*|3\.0\d*),$/);
    expect(lines[2]).toBe(`z,${line},,`);
  });

  test('has the units of names that have any, and makes no formula of them either', async () => {
    const { post, get } = createTestApp();
    await post([
      { ...validSummary, name: 'a', units: 'ms' },
      { ...validSummary, name: 'b', units: '=1+1' },
    ]);
    const [, ...lines] = (await (await get({ format: 'csv' })).text()).split('\r\n');
    expect(lines).toEqual([`a,${line}ms`, `b,${line}'=1+1`, '']);
  });

  test('quotes names as RFC 4180 says', async () => {
    const [, ...lines] = (await csvOf(['a,b', 'say "hi"', ' edge'])).split('\r\n');
    expect(lines).toEqual([`" edge",${line}`, `"a,b",${line}`, `"say ""hi""",${line}`, '']);
  });

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', ' =1+1', '\uFF1D1', '\u200b=1'])(
    'makes no formula of the name %j',
    async (name) => {
      const [, first] = (await csvOf([name])).split('\r\n');
      expect(first?.replace(/^"/, '').startsWith(`'${name}`)).toBe(true);
    },
  );

  test('leaves alone what is no formula', async () => {
    const [, first] = (await csvOf(['a=b;+c'])).split('\r\n');
    expect(first).toBe(`"a=b;+c",${line}`);
  });

  test('leaves the cell empty of what is not a number', async () => {
    const series = createSeriesGroups('a', 1);
    series.statistics.mean[0] = Number.NaN;
    series.statistics.max[0] = Number.POSITIVE_INFINITY;
    const pieces = await piecesOf([series]);
    expect(pieces.join('').split('\r\n')[1]).toBe('a,0,1970-01-01T00:00:00Z,0,,0,0,,0,0,0,');
  });

  test('comes in pieces when it is large', async () => {
    const series = Array.from({ length: 40 }, (_, index) => createSeriesGroups(`n${index}`, 11_000));
    const pieces = await piecesOf(series);
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.join('').split('\r\n')).toHaveLength(440_002);
  });
});

describe('which format a read is in', () => {
  const json = 'application/json';
  const csv = 'text/csv; charset=utf-8; header=present';

  test.each<[string | undefined, string | undefined, string, boolean]>([
    [undefined, undefined, json, false],
    [undefined, '*/*', json, false],
    [undefined, 'text/html,application/xhtml+xml,*/*;q=0.8', json, false],
    [undefined, 'text/csv', csv, false],
    [undefined, 'text/csv, application/json;q=0.5', csv, false],
    [undefined, 'application/json, text/csv;q=0.5', json, false],
    [undefined, 'text/csv;q=0', json, false],
    ['csv', 'application/json', csv, true],
    ['json', 'text/csv', json, false],
  ])('format=%s, Accept: %s', async (format, accept, contentType, isFile) => {
    const { app } = createTestApp();
    const response = await app.request(`/metrics${format ? `?format=${format}` : ''}`, {
      headers: accept === undefined ? {} : { Accept: accept },
    });
    expect(response.headers.get('Content-Type')).toBe(contentType);
    expect(response.headers.get('Content-Disposition')).toBe(isFile ? 'attachment; filename="m2pg-metrics.csv"' : null);
    expect(response.headers.get('Vary')).toContain('Accept');
  });

  test('another one is 422 and told what is taken', async () => {
    const response = await createTestApp().get({ format: 'xml' });
    expect([response.status, (await problemOf(response)).errors]).toEqual([
      422,
      [{ path: 'format', message: 'expected json or csv' }],
    ]);
  });
});

async function piecesOf(series: readonly SeriesGroups[]): Promise<string[]> {
  const pages = (async function* () {
    for (const one of series) yield [one];
  })();
  const pieces: string[] = [];
  for await (const piece of renderMetricsCsv(pages)) pieces.push(piece);
  return pieces;
}
