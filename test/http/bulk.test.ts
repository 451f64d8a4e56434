import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { lineBytesMax } from '../../src/http/receivers/line-splitter.ts';
import { createTestApp, now, problemOf, type TestAppOptions, validSummary } from '../support/test-app.ts';

const ndjson = { 'Content-Type': 'application/x-ndjson' };
const line = (name: string) => JSON.stringify({ ...validSummary, name });

interface BulkAnswer {
  readonly stored: number;
  readonly refused: number;
  readonly errors: readonly { readonly line: number; readonly path?: string; readonly message: string }[];
}

/** Posts lines and gives the answer with what is stored. */
async function load(body: string | Uint8Array, headers: Record<string, string> = {}, options: TestAppOptions = {}) {
  const { post, stored, memory } = createTestApp(options);
  const response = await post(body, { ...ndjson, ...headers });
  const answer = (await response.json()) as BulkAnswer;
  return { status: response.status, response, answer, names: stored().map(({ name }) => name), memory };
}

describe('a bulk load', () => {
  test('stores a summary or raw point a line and answers 201 with their number', async () => {
    const { post, stored } = createTestApp();
    const body = `${line('a')}\n{"name":"b","bucket":${now},"value":4.25}\n`;
    const response = await post(body, ndjson);
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ stored: 2, refused: 0, errors: [] });
    const id = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(stored()[0]).toEqual({ id, ...validSummary, name: 'a' });
    expect(stored()[1]).toMatchObject({ id, name: 'b', bucket: now, count: 1, mean: 4.25, last: 4.25 });
    expect(stored().every(Object.isFrozen)).toBe(true);
    expect(stored()[0]?.id).not.toBe(stored()[1]?.id);
  });

  test.each([
    'application/x-ndjson; charset=utf-8',
    'application/ndjson',
    'application/JSONL',
    'application/x-jsonlines',
  ])('may be called %s', async (type) => {
    expect((await load(`${line('a')}\n${line('b')}`, { 'Content-Type': type })).names).toEqual(['a', 'b']);
  });

  test.each([
    ['a last line without an end', `${line('a')}\n${line('b')}`],
    ['lines that end in CR LF', `${line('a')}\r\n${line('b')}\r\n`],
    ['blank lines', `\n\r\n${line('a')}\n \t\n\n${line('b')}\n\n`],
    ['a byte order mark', `\uFEFF${line('a')}\n${line('b')}\n`],
  ])('takes %s', async (_, body) => {
    const { status, answer, names } = await load(body);
    expect([status, answer.refused]).toEqual([201, 0]);
    expect(names).toEqual(['a', 'b']);
  });

  test('of nothing stores nothing', async () => {
    for (const body of ['', '\n\n']) {
      const { status, answer } = await load(body);
      expect([status, answer]).toEqual([201, { stored: 0, refused: 0, errors: [] }]);
    }
  });

  test('may be larger than BODY_BYTES_MAX and an array may be', async () => {
    const lines = Array.from({ length: 12_000 }, (_, index) => line(`${index}`));
    const { status, answer, memory } = await load(lines.join('\n'), {}, { bodyBytesMax: 1_024 });
    expect([status, answer.stored]).toEqual([201, 12_000]);
    expect(memory.summaries.size).toBe(12_000);
    expect(memory.calls.write).toBeGreaterThan(1);
  });

  test('keeps no write as JSON from being one', async () => {
    const { post, stored } = createTestApp();
    expect((await post([validSummary], { 'Content-Type': 'application/json' })).status).toBe(201);
    expect((await post(validSummary)).status).toBe(201);
    expect(stored()).toHaveLength(2);
  });
});

describe('a line that is refused', () => {
  test.each([
    ['is not JSON', 'nonsense', { message: 'is not JSON' }],
    ['is no object', '[1]', { message: expect.stringMatching(/^expected a summary/) }],
    ['lacks a statistic', JSON.stringify({ ...validSummary, perc95: undefined }), { path: 'perc95' }],
    ['lacks several', '{"name":"a"}', { path: 'bucket', message: expect.stringMatching(/\(and 8 more\)$/) }],
    ['is not UTF-8', Buffer.from('{"name":"\xff"}', 'latin1'), { message: 'is not UTF-8' }],
    ['is too long', `{"name":"${'x'.repeat(lineBytesMax)}"}`, { message: `is longer than ${lineBytesMax} bytes` }],
  ])('since it %s, is named, and the others are stored', async (_, bad, error) => {
    const body = Buffer.concat([Buffer.from(`${line('a')}\n\n`), Buffer.from(bad), Buffer.from(`\n${line('b')}`)]);
    const { status, answer, names } = await load(body);
    expect([status, names]).toEqual([201, ['a', 'b']]);
    expect(answer).toMatchObject({ stored: 2, refused: 1, errors: [{ line: 3, ...error }] });
  });

  test('says what to do when curl -d has joined the lines', async () => {
    const { status, answer } = await load(line('a') + line('b'));
    expect([status, answer.errors[0]?.message]).toEqual([422, expect.stringMatching(/--data-binary/)]);
  });

  test('is counted, and listed if it is among the first hundred', async () => {
    const { status, answer, names } = await load(`${'x\n'.repeat(250)}${line('a')}`);
    expect([status, answer.refused, names]).toEqual([201, 250, ['a']]);
    expect(answer.errors.map((error) => error.line)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  test('makes the answer 422 when there is no other', async () => {
    const { post, memory } = createTestApp();
    const response = await post('x\n\n{}', ndjson);
    expect(response.status).toBe(422);
    expect(response.headers.get('Content-Type')).toBe('application/problem+json');
    expect(await response.json()).toMatchObject({
      type: 'urn:m2pg:problem:invalid_request',
      detail: 'all 2 lines are refused',
      stored: 0,
      refused: 2,
      errors: [{ line: 1 }, { line: 3 }],
    });
    expect(memory.calls.write).toBe(0);
  });
});

describe('a long line', () => {
  const long = (megabytes: number) => `{"name":"${'x'.repeat(megabytes * 1e6)}"}`;
  const tooLong = { message: `is longer than ${lineBytesMax} bytes` };

  test.each([
    ['before', `${long(20)}\n${line('a')}`, [1]],
    ['behind', `${line('a')}\n${long(20)}`, [2]],
    ['behind, and ended', `${line('a')}\n${long(20)}\n`, [2]],
    ['on both sides', `${long(20)}\n${line('a')}\n${long(40)}\n`, [1, 3]],
    ['several in a row', `${`${long(20)}\n`.repeat(5)}${line('a')}`, [1, 2, 3, 4, 5]],
  ])('%s a summary is refused with its number, and the summary is stored', async (_, body, lines) => {
    const { status, answer, names } = await load(body);
    expect([status, names]).toEqual([201, ['a']]);
    expect(answer).toEqual({ stored: 1, refused: lines.length, errors: lines.map((at) => ({ line: at, ...tooLong })) });
  });

  test('that is alone is refused with its number', async () => {
    const { status, answer } = await load(long(20));
    expect([status, answer.errors]).toEqual([422, [{ line: 1, ...tooLong }]]);
  });

  test('that does not end is not read on, takes no memory, and leaves what came before it', async () => {
    const { post, stored } = createTestApp();
    const piece = Buffer.alloc(64 * 1_024, 'x');
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(sent === 0 ? Buffer.from(`${line('a')}\n`) : Buffer.from(piece));
        sent += 1;
      },
    });
    const before = process.memoryUsage().arrayBuffers;
    const response = await post(body, ndjson);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(300_000_000);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      detail: expect.stringMatching(/^line 2 has not ended after \d+ bytes: it was not read on$/),
      stored: 1,
      storedThroughLine: 1,
    });
    expect(stored().map(({ name }) => name)).toEqual(['a']);
    expect(sent * piece.length).toBeLessThan(1.1 * 1_024 ** 3);
  });
});

test('summaries that are too old are refused, however many come first, and the others are stored', async () => {
  const old = JSON.stringify({ ...validSummary, bucket: now - 100 * 86_400 });
  const { status, answer, names } = await load(
    `${`${old}\n`.repeat(120_000)}${line('a')}`,
    {},
    { retentionSeconds: 86_400 },
  );
  expect([status, answer.stored, answer.refused, names]).toEqual([201, 1, 120_000, ['a']]);
});

describe('gzip', () => {
  const many = Array.from({ length: 6_000 }, (_, index) => line(`${index}`)).join('\n');

  test('is decompressed, in several members too', async () => {
    const members = Buffer.concat([gzipSync(`${line('a')}\n`), gzipSync(line('b'))]);
    expect((await load(members, { 'Content-Encoding': 'gzip' })).names).toEqual(['a', 'b']);
    expect((await load(gzipSync(many), { 'Content-Encoding': 'x-gzip' })).names).toHaveLength(6_000);
  });

  test.each([
    ['that ends early', gzipSync(many).subarray(0, -500), 400, 'the body ended early'],
    ['that is none', Buffer.from(many), 400, 'the body is not gzip, as its Content-Encoding says'],
  ])('%s is refused, and what came before stays', async (_, body, status, detail) => {
    const { response, answer, names } = await load(body, { 'Content-Encoding': 'gzip' });
    expect(response.status).toBe(status);
    expect(answer).toMatchObject({ detail, stored: names.length });
  });

  test('is the only encoding', async () => {
    const { response, answer } = await load(line('a'), { 'Content-Encoding': 'br' });
    expect(response.status).toBe(415);
    expect(answer).toMatchObject({ detail: 'Content-Encoding br is not understood; gzip is', stored: 0 });
  });
});

describe('with an Idempotency-Key', () => {
  const key = { ...ndjson, 'Idempotency-Key': 'load-1' };

  test('the same lines sent again are stored once, and the same line twice is two summaries', async () => {
    const { post, memory } = createTestApp();
    const body = `${line('a')}\n${line('a')}\n${line('b')}\n`;
    for (let time = 0; time < 2; time += 1) expect((await post(body, key)).status).toBe(201);
    expect(memory.summaries.size).toBe(3);
    await post(body, { ...key, 'Idempotency-Key': 'load-2' });
    expect(memory.summaries.size).toBe(6);
  });

  test('a line that was refused and is mended changes no other id', async () => {
    const { post, memory } = createTestApp();
    await post(`x\n${line('b')}`, key);
    await post(`${line('a')}\n${line('b')}`, key);
    expect([...memory.summaries.values()].map(({ name }) => name)).toEqual(['b', 'a']);
  });

  test('a raw point needs its bucket', async () => {
    const { post } = createTestApp();
    const response = await post('{"name":"a","value":1}', key);
    expect((await problemOf(response)).errors).toEqual([
      { line: 1, path: 'bucket', message: expect.stringMatching(/needs its bucket/) },
    ]);
    expect((await post('{"name":"a","value":1}', ndjson)).status).toBe(201);
  });

  test('that is none, nothing is read', async () => {
    expect((await load(line('a'), { 'Idempotency-Key': 'x'.repeat(256) })).status).toBe(422);
  });
});

test.each([
  ['blank', '\n'],
  ['broken', '{\n'],
  ['JSON and no summaries', '{}\n'],
  ['long', `${'x'.repeat(200_000)}\n`],
])('some kilobytes of gzip that hold millions of lines that are %s are not read to their end', async (_, line) => {
  const { post, memory } = createTestApp();
  const member = gzipSync(line.repeat(Math.ceil(10_000_000 / line.length)));
  const body = Buffer.concat(Array.from({ length: 150 }, () => member));
  const begun = process.cpuUsage();
  const response = await post(body, { ...ndjson, 'Content-Encoding': 'gzip' });
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ detail: expect.stringContaining('it was not read on'), stored: 0 });
  // Of the processors, which others may be using as well.
  const { user, system } = process.cpuUsage(begun);
  expect((user + system) / 1e6).toBeLessThan(10);
  expect(memory.calls.write).toBe(0);
});
