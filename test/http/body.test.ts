import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/service-process.ts';
import { createTestApp, problemOf, validSummary } from '../support/test-app.ts';

const bodyBytesMax = 10_000;

/** A valid body of exactly so many bytes, made long by white space, which JSON allows. */
const bodyOf = (bytes: number) => JSON.stringify(validSummary).padEnd(bytes, ' ');

/** The bytes in pieces, whose length is not told beforehand. */
function streamOf(text: string): ReadableStream<Uint8Array> {
  const pieces = text.match(/.{1,1000}/gs) ?? [];
  return ReadableStream.from(pieces).pipeThrough(new TextEncoderStream());
}

describe('a body that is not what it must be is answered 400', () => {
  test.each([
    ['no JSON', 'name=foo&value=1', 'the body is not JSON'],
    ['JSON cut short', '{"name":"a"', 'the body is not JSON'],
    ['two JSON texts', '{} {}', 'the body is not JSON'],
    ['a number that JSON has not', '{"name":"a","value":NaN}', 'the body is not JSON'],
    ['empty', '', 'the body is empty; expected JSON'],
    ['white space', ' \r\n', 'the body is empty; expected JSON'],
    ['not UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'the body is not UTF-8'],
    ['UTF-16', new Uint8Array([0xff, 0xfe, 0x5b, 0, 0x5d, 0]), 'the body is not UTF-8'],
    ['UTF-8 of a lone surrogate', new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22]), 'the body is not UTF-8'],
  ])('%s', async (_, body, detail) => {
    const { post, memory } = createTestApp();
    const response = await post(body);
    expect(response.status).toBe(400);
    expect(await problemOf(response)).toMatchObject({ type: 'urn:m2pg:problem:malformed_body', detail });
    expect(memory.calls.write).toBe(0);
  });

  test('no body at all', async () => {
    const { app } = createTestApp();
    const response = await app.request('/metrics', { method: 'POST' });
    expect(response.status).toBe(400);
    expect((await problemOf(response)).detail).toBe('the body is empty; expected JSON');
  });

  test.each(['[', '{"a":'])('and 100,000 times %s overflows no stack', async (opening) => {
    const { post } = createTestApp();
    expect((await post(opening.repeat(100_000))).status).toBe(400);
  });

  test('and 100,000 lists within each other are refused as no summary', async () => {
    const { post } = createTestApp();
    expect((await post('['.repeat(100_000) + ']'.repeat(100_000))).status).toBe(422);
  });
});

describe('the size of a body', () => {
  test('may be BODY_BYTES_MAX', async () => {
    const { post } = createTestApp({ bodyBytesMax });
    expect((await post(bodyOf(bodyBytesMax))).status).toBe(201);
    expect((await post(streamOf(bodyOf(bodyBytesMax)))).status).toBe(201);
  });

  test('over BODY_BYTES_MAX is answered 413 by its Content-Length alone', async () => {
    const { post, memory } = createTestApp({ bodyBytesMax });
    const neverRead = new ReadableStream({}, { highWaterMark: 0 });
    const response = await post(neverRead, { 'Content-Length': `${bodyBytesMax + 1}` });
    expect(response.status).toBe(413);
    expect((await problemOf(response)).detail).toBe('the body may have at most 10000 bytes, decompressed');
    expect(memory.calls.write).toBe(0);
  });

  test('over BODY_BYTES_MAX is answered 413 without a Content-Length', async () => {
    const { post, memory } = createTestApp({ bodyBytesMax });
    expect((await post(streamOf(bodyOf(bodyBytesMax + 1)))).status).toBe(413);
    expect(memory.calls.write).toBe(0);
  });

  test('is no longer read once it is over BODY_BYTES_MAX', async () => {
    const { post } = createTestApp({ bodyBytesMax });
    const piece = new Uint8Array(1_000);
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(piece) });
    expect((await post(endless)).status).toBe(413);
  });

  test('over BODY_BYTES_MAX is answered 413 when only gzip hides it', async () => {
    const { post, memory } = createTestApp({ bodyBytesMax });
    for (const bytes of [bodyBytesMax + 1, 5_000_000]) {
      const body = gzipSync(bodyOf(bytes));
      expect(body.length).toBeLessThan(bodyBytesMax);
      expect((await post(body, { 'Content-Encoding': 'gzip' })).status).toBe(413);
    }
    expect(memory.calls.write).toBe(0);
  });

  test('may be BODY_BYTES_MAX after gzip', async () => {
    const { post } = createTestApp({ bodyBytesMax });
    expect((await post(gzipSync(bodyOf(bodyBytesMax)), { 'Content-Encoding': 'gzip' })).status).toBe(201);
  });
});

describe('the Content-Encoding of a body', () => {
  test.each(['gzip', 'GZIP', 'x-gzip', ' gzip '])('may be %j', async (encoding) => {
    const { post, stored } = createTestApp();
    const response = await post(gzipSync(JSON.stringify(validSummary)), { 'Content-Encoding': encoding });
    expect(response.status).toBe(201);
    expect(stored()[0]).toMatchObject(validSummary);
  });

  test.each(['identity', ''])('may be %j, for a body as it is', async (encoding) => {
    const { post } = createTestApp();
    expect((await post(validSummary, { 'Content-Encoding': encoding })).status).toBe(201);
  });

  test.each([
    ['plain text', JSON.stringify(validSummary), 'the body is not gzip, as its Content-Encoding says'],
    ['nothing', '', 'the body is not gzip, as its Content-Encoding says'],
    ['gzip cut short', gzipSync(JSON.stringify(validSummary)).subarray(0, 40), 'the body ended early'],
  ])('gzip for %s is answered 400', async (_, body, detail) => {
    const { post, memory } = createTestApp();
    const response = await post(body, { 'Content-Encoding': 'gzip' });
    expect(response.status).toBe(400);
    expect((await problemOf(response)).detail).toBe(detail);
    expect(memory.calls.write).toBe(0);
  });

  test.each(['br', 'zstd', 'deflate', 'gzip, gzip'])(
    '%s is answered 415, with what is understood',
    async (encoding) => {
      const { post } = createTestApp();
      const response = await post(validSummary, { 'Content-Encoding': encoding });
      expect(response.status).toBe(415);
      expect((await problemOf(response)).detail).toBe(`Content-Encoding ${encoding} is not understood; gzip is`);
    },
  );
});

describe('bodies hold 64 MiB of memory together', () => {
  const mebibyte = 1_048_576;

  /** Sends a body that has not ended: so many bytes of it have been taken when the promise resolves. */
  async function hold(post: ReturnType<typeof createTestApp>['post'], bytes: number) {
    const { promise: taken, resolve: notTaken } = Promise.withResolvers<void>();
    let [left, end] = [bytes, () => {}];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        end = () => controller.close();
        if (left === 0) return notTaken();
        const piece = Math.min(left, mebibyte);
        left -= piece;
        controller.enqueue(new Uint8Array(piece).fill(0x20));
      },
    });
    const answered = post(body).then(({ status }) => status);
    await Promise.race([taken, answered]);
    return { end: () => end(), answered };
  }

  test.each([
    ['as they are', () => streamOf(bodyOf(mebibyte)), {}],
    ['decompressed', () => gzipSync(bodyOf(mebibyte)), { 'Content-Encoding': 'gzip' }],
  ] as const)('%s, and what comes beyond is answered 503', async (_, body, headers) => {
    const { post, memory } = createTestApp({ bodyBytesMax: 8 * mebibyte });
    const held = await Promise.all(Array.from({ length: 8 }, () => hold(post, 8 * mebibyte - 100_000)));
    for (let time = 0; time < 10; time += 1) {
      const refused = await post(body(), headers);
      expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, '2']);
      expect((await problemOf(refused)).type).toBe('urn:m2pg:problem:too_many_bodies');
    }
    expect(memory.calls.write).toBe(0);
    // Small ones go on.
    expect((await post(gzipSync(JSON.stringify(validSummary)), { 'Content-Encoding': 'gzip' })).status).toBe(201);
    for (const { end } of held) end();
    for (const { answered } of held) expect(await answered).toBe(400);
    // All of it was given back, by those that were refused as well.
    for (let time = 0; time < 70; time += 1) expect((await post(body(), headers)).status).toBe(201);
    expect(
      (await Promise.all(Array.from({ length: 60 }, () => post(body(), headers)))).map(({ status }) => status),
    ).toEqual(Array(60).fill(201));
  });

  test('no longer once they are parsed, however long their writes wait', async () => {
    const { post, memory } = createTestApp({ bodyBytesMax: 8 * mebibyte });
    const { write } = memory;
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let waiting = 0;
    memory.write = async (summaries) => {
      waiting += 1;
      await released;
      return write(summaries);
    };
    const body = gzipSync(bodyOf(8 * mebibyte));
    const answers = Array.from({ length: 12 }, () => post(body, { 'Content-Encoding': 'gzip' }));
    await eventually(() => expect(waiting).toBe(12));
    release();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(12).fill(201));
  });

  test('also those of a log drain, until it is answered', async () => {
    const { app, post } = createTestApp({ bodyBytesMax: 8 * mebibyte });
    const body = gzipSync(' \n'.repeat(2 * mebibyte));
    const drain = () => app.request('/logs', { method: 'POST', body, headers: { 'Content-Encoding': 'gzip' } });
    const held = await hold(post, 8 * mebibyte - 100_000);
    for (let time = 0; time < 20; time += 1) expect((await drain()).status).toBe(200);
    held.end();
    expect(await held.answered).toBe(400);
  });
});
