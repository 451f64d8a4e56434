import { describe, expect, test } from 'vitest';
import { createTestApp, problemOf, validSummary } from '../support/test-app.ts';

const uuidV5 = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const { post, memory } = createTestApp();

async function idsOf(body: unknown, key: string): Promise<string[]> {
  const response = await post(body, { 'Idempotency-Key': key });
  expect(response.status).toBe(201);
  return [await response.json()].flat() as string[];
}

describe('with an Idempotency-Key', () => {
  test('the same request sent again gets the same ids and is stored once', async () => {
    const body = [validSummary, { ...validSummary, name: 'b' }];
    const ids = await idsOf(body, 'same');
    expect(ids).toEqual([expect.stringMatching(uuidV5), expect.stringMatching(uuidV5)]);
    const before = memory.summaries.size;
    expect(await idsOf(body, 'same')).toEqual(ids);
    expect(memory.summaries.size).toBe(before);
  });

  test('ids stay the same from version to version', async () => {
    // Written down once: another algorithm would count a repetition across an update twice.
    expect(await idsOf(validSummary, 'key')).toEqual(['c670698f-49c6-5aee-bb25-6bdc2db893b8']);
  });

  test('spelling, order of fields and fields that are ignored change no id', async () => {
    const [id] = await idsOf(validSummary, 'spelling');
    const { name, ...rest } = validSummary;
    expect(await idsOf({ extra: 1, ...rest, bucket: '2012-12-11 05:12:00 UTC', name }, 'spelling')).toEqual([id]);
  });

  test('a summary twice in one array is two summaries', async () => {
    const ids = await idsOf([validSummary, validSummary], 'twice');
    expect(new Set(ids).size).toBe(2);
  });

  test('another key gives other ids', async () => {
    expect(await idsOf(validSummary, 'one')).not.toEqual(await idsOf(validSummary, 'other'));
  });

  test.each(Object.keys(validSummary))('another %s gives another id and overwrites nothing', async (field) => {
    const original = { ...validSummary, name: 'kept' };
    const [first] = await idsOf(original, 'content');
    const changed = field === 'name' ? 'changed' : Number(original[field as 'count']) + 1;
    const [second] = await idsOf({ ...original, [field]: changed }, 'content');
    expect(second).not.toBe(first);
    expect(memory.summaries.get(first ?? '')).toEqual({ id: first, ...original });
  });

  test('another position gives another id', async () => {
    const other = { ...validSummary, name: 'other' };
    const [first, second] = await idsOf([validSummary, other], 'position');
    const swapped = await idsOf([other, validSummary], 'position');
    expect(new Set([first, second, ...swapped]).size).toBe(4);
  });

  test('a raw point keeps its ids too', async () => {
    const point = { name: 'a', bucket: validSummary.bucket, value: 1 };
    expect(await idsOf(point, 'point')).toEqual(await idsOf(point, 'point'));
  });

  test('a raw point without a bucket is refused: now would be another instant in each repetition', async () => {
    const writes = memory.calls.write;
    const response = await post([{ name: 'a', value: 1 }], { 'Idempotency-Key': 'point' });
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toEqual([
      { path: '0.bucket', message: 'missing; with an Idempotency-Key a raw point needs its bucket' },
    ]);
    expect(memory.calls.write).toBe(writes);
  });
});

describe('an Idempotency-Key', () => {
  // `é` in a header is one byte, as HTTP carries it; `Ã©` are the two bytes of its UTF-8.
  test.each([
    ['1 byte', 'k'],
    ['255 bytes', 'k'.repeat(255)],
    ['255 bytes beyond ASCII', 'é'.repeat(255)],
  ])('may have %s', async (_, key) => {
    expect(await idsOf(validSummary, key)).toHaveLength(1);
  });

  test.each([
    ['no byte', ''],
    ['only white space', '  '],
    ['256 bytes', 'k'.repeat(256)],
    ['128 characters in 256 bytes', 'Ã©'.repeat(128)],
  ])('of %s is refused', async (_, key) => {
    const writes = memory.calls.write;
    const response = await post(validSummary, { 'Idempotency-Key': key });
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toEqual([
      { path: 'Idempotency-Key', message: 'expected 1 to 255 bytes' },
    ]);
    expect(memory.calls.write).toBe(writes);
  });
});
