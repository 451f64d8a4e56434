import { describe, expect, test } from 'vitest';
import { summariesMax } from '../../src/http/receivers/metrics.ts';
import { createTestApp, now, validSummary } from '../support/test-app.ts';

const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('POST /metrics', () => {
  test('stores a summary and answers 201 with its id as a JSON string', async () => {
    const { post, stored } = createTestApp();
    const response = await post(validSummary);
    expect(response.status).toBe(201);
    expect(response.headers.get('Content-Type')).toMatch(/^application\/json/);
    const id = await response.json();
    expect(id).toMatch(uuidV7);
    expect(stored()).toEqual([{ id, ...validSummary }]);
  });

  test('stores an array and answers its ids in the order of the array', async () => {
    const { post, memory } = createTestApp();
    const names = ['c', 'a', 'b'];
    const response = await post(names.map((name) => ({ ...validSummary, name })));
    expect(response.status).toBe(201);
    const ids = (await response.json()) as string[];
    expect(ids.map((id) => memory.summaries.get(id)?.name)).toEqual(names);
  });

  test('answers an array of one with an array of one', async () => {
    const { post } = createTestApp();
    expect(await (await post([validSummary])).json()).toEqual([expect.stringMatching(uuidV7)]);
  });

  test('gives the same summary posted twice two ids, as two summaries', async () => {
    const { post, stored } = createTestApp();
    await post(validSummary);
    await post(validSummary);
    expect(new Set(stored().map(({ id }) => id)).size).toBe(2);
  });

  test('hands the whole array to the store at once', async () => {
    const { post, memory } = createTestApp();
    await post([validSummary, validSummary, validSummary]);
    expect(memory.calls.write).toBe(1);
    expect(memory.summaries.size).toBe(3);
  });

  test('tells in M2pg-Copies how many databases have committed', async () => {
    const store = { ...createTestApp().memory, write: async () => ({ copies: 2, databases: 3 }) };
    const response = await createTestApp({ store }).post(validSummary);
    expect(response.headers.get('M2pg-Copies')).toBe('2/3');
  });

  test('ignores fields that it does not know, whatever they hold', async () => {
    const { post, stored } = createTestApp();
    const unknown = '"id": "mine", "sum": null, "tags": [{}], "__proto__": {"count": 7}, "constructor": 1';
    const response = await post(`{${unknown}, ${JSON.stringify(validSummary).slice(1)}`);
    expect(response.status).toBe(201);
    expect(stored()).toEqual([{ id: await response.json(), ...validSummary }]);
  });

  test('does not check the statistics against each other', async () => {
    const { post, stored } = createTestApp();
    expect((await post({ ...validSummary, median: 100, max: 1, min: 5 })).status).toBe(201);
    expect(stored()[0]).toMatchObject({ median: 100, max: 1, min: 5 });
  });
});

describe('the Content-Type of a write', () => {
  test.each([
    ['JSON', { 'Content-Type': 'application/json' }],
    ['JSON with a charset', { 'Content-Type': 'application/json; charset=utf-8' }],
    ['form, as curl -d and Net::HTTP say', { 'Content-Type': 'application/x-www-form-urlencoded' }],
    ['text', { 'Content-Type': 'text/plain' }],
    ['multipart without a boundary', { 'Content-Type': 'multipart/form-data' }],
    ['nonsense', { 'Content-Type': 'nonsense' }],
  ])('may be %s', async (_, headers) => {
    const { post, stored } = createTestApp();
    expect((await post(validSummary, headers)).status).toBe(201);
    expect(stored()).toHaveLength(1);
  });

  test('may be missing', async () => {
    const { app, stored } = createTestApp();
    // Bytes have no Content-Type of their own, which text would get from `Request`.
    const body = new TextEncoder().encode(JSON.stringify(validSummary));
    const request = new Request('http://localhost/metrics', { method: 'POST', body });
    expect(request.headers.has('Content-Type')).toBe(false);
    expect((await app.request(request)).status).toBe(201);
    expect(stored()).toHaveLength(1);
  });
});

describe('the bucket of a write', () => {
  test.each([
    [1_355_202_720, 1_355_202_720],
    [1_355_202_720.25, 1_355_202_720.25],
    [1_355_202_720.123_456_7, 1_355_202_720.123_457],
    ['1355202720', 1_355_202_720],
    ['1355202720.25', 1_355_202_720.25],
    ['2012-12-11T05:12:00Z', 1_355_202_720],
    ['2012-12-11t05:12:00z', 1_355_202_720],
    ['2012-12-11T05:12:00.25Z', 1_355_202_720.25],
    ['2012-12-11T10:42:00+05:30', 1_355_202_720],
    ['2012-12-10T21:12:00-08:00', 1_355_202_720],
    ['2012-12-11 05:12:00 UTC', 1_355_202_720],
    ['2012-12-11 05:12:00 +0000', 1_355_202_720],
    ['2012-12-11 05:12:00 +00', 1_355_202_720],
    ['2012-12-11 05:12:00+00', 1_355_202_720],
    ['2012-12-11 10:42:00 +05:30', 1_355_202_720],
    ['2012-12-11 10:42:00 +0530', 1_355_202_720],
  ])('may be spelled %j', async (bucket, unixSeconds) => {
    const { post, stored } = createTestApp();
    expect((await post({ ...validSummary, bucket })).status).toBe(201);
    expect(stored()[0]?.bucket).toBe(unixSeconds);
  });
});

describe('a raw point', () => {
  const statisticsOf = (value: number) => ({
    count: 1,
    mean: value,
    median: value,
    min: value,
    max: value,
    perc95: value,
    perc99: value,
    last: value,
  });

  test('is stored as a summary of one', async () => {
    const { post, stored } = createTestApp();
    const response = await post({ name: 'a', bucket: 1_355_202_720, value: -4.5 });
    expect(response.status).toBe(201);
    expect(stored()).toEqual([{ id: await response.json(), name: 'a', bucket: 1_355_202_720, ...statisticsOf(-4.5) }]);
  });

  test('without a bucket is of now', async () => {
    const { post, stored } = createTestApp();
    expect((await post({ name: 'a', value: 0 })).status).toBe(201);
    expect(stored()[0]).toMatchObject({ bucket: now, ...statisticsOf(0) });
  });

  test('may stand beside summaries in an array', async () => {
    const { post, stored } = createTestApp();
    expect((await post([validSummary, { name: 'a', value: 7 }])).status).toBe(201);
    expect(stored().map(({ last }) => last)).toEqual([validSummary.last, 7]);
  });
});

describe('the length of an array', () => {
  const points = (length: number) => Array.from({ length }, () => ({ name: 'a', value: 1 }));

  test('may be 10,000', async () => {
    expect(summariesMax).toBe(10_000);
    const { post, memory } = createTestApp();
    const response = await post(points(10_000));
    expect(response.status).toBe(201);
    expect(new Set((await response.json()) as string[]).size).toBe(10_000);
    expect(memory.summaries.size).toBe(10_000);
  });

  test('of 10,001 is answered 413, and nothing is stored', async () => {
    const { post, memory } = createTestApp();
    const response = await post(points(10_001));
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ detail: 'an array may hold at most 10000 summaries, not 10001' });
    expect(memory.calls.write).toBe(0);
  });
});
