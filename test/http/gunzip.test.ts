import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { gunzip } from '../../src/http/gunzip.ts';
import { serveHttp } from '../../src/http/server.ts';
import { deliver, logplexFrame } from '../support/drain.ts';
import { createTestApp, now, validSummary } from '../support/test-app.ts';

const options = { chunkSize: 1_024, memberBytesMin: 64 };

async function textOf(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string> {
  const made: Buffer[] = [];
  for await (const chunk of gunzip(chunks, options)) made.push(chunk);
  return Buffer.concat(made).toString();
}

/** The bytes in pieces of these sizes, and the rest. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...pieces, bytes.subarray(at)];
}

/** A member whose header has all that a header may have. */
function withFullHeader(text: string): Buffer {
  const plain = gzipSync(text);
  const head = Buffer.from(plain.subarray(0, 10));
  head[3] = 0x02 | 0x04 | 0x08 | 0x10;
  const extra = Buffer.from([5, 0, 1, 2, 0, 31, 139]);
  return Buffer.concat([head, extra, Buffer.from('name\0comment\0'), Buffer.from([1, 2]), plain.subarray(10)]);
}

const json = JSON.stringify(validSummary);

/** What clients and tools put behind, and what is not another member. */
const trailers: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['CRLF', Buffer.from('\r\n')],
  ['a line feed', Buffer.from('\n')],
  ['zeros, to fill up a block', Buffer.alloc(512)],
  ['zeros and something else', Buffer.from('\0\0\0garbage')],
  ['text', Buffer.from('--boundary--')],
  ['the second byte of a member alone', Buffer.from([0x8b, 0x1f])],
  ['a megabyte', Buffer.alloc(1_000_000, 'x')],
];

test('gives what was compressed, of however many members, in whatever pieces and whatever follows', async () => {
  const texts = fc.array(fc.string({ maxLength: 3_000 }), { minLength: 1, maxLength: 5 });
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 200 });
  const trailer = fc.constantFrom(...trailers.map(([, bytes]) => bytes));
  await fc.assert(
    fc.asyncProperty(texts, sizes, trailer, fc.boolean(), async (given, pieces, behind, isFull) => {
      const members = given.map((text) => (isFull ? withFullHeader(text) : gzipSync(text)));
      expect(await textOf(cut(Buffer.concat([...members, behind]), pieces))).toBe(given.join(''));
    }),
  );
});

test('no part of a member is taken for the whole, wherever it is cut off', async () => {
  const bytes = Buffer.concat([gzipSync('first'), withFullHeader('second')]);
  const first = gzipSync('first').length;
  for (let length = 0; length < bytes.length; length += 1) {
    const reading = textOf(cut(bytes.subarray(0, length), [length >> 1]));
    // Between the two nobody can know that something is missing.
    if (length === first) expect(await reading).toBe('first');
    else await expect(reading).rejects.toMatchObject({ code: 'malformed_body' });
  }
});

test('a byte that was changed is found out, or changes nothing', async () => {
  const bytes = gzipSync(json);
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 0x41;
    const text = await textOf([changed]).catch(({ code }) => code);
    expect([at, text]).toEqual([at, expect.stringMatching(/^malformed_body$|^\{"name":"foo\.web\.requests"/)]);
    if (text !== 'malformed_body') expect(text).toBe(json);
  }
});

test('tells of a source that fails, and not that the body is no gzip', async () => {
  const source = async function* () {
    yield gzipSync(json).subarray(0, 30);
    throw new Error('the connection is gone');
  };
  await expect(textOf(source())).rejects.toThrow('the connection is gone');
});

test('waits for no sender when its reader has had enough', async () => {
  const source = async function* () {
    yield gzipSync('x'.repeat(1_000_000)).subarray(0, -100);
    await new Promise(() => undefined);
  };
  for await (const chunk of gunzip(source(), options)) {
    expect(chunk.length).toBeGreaterThan(0);
    break;
  }
});

test('takes many members, but none that cost more than they hold', async () => {
  const line = `${json}\n`;
  const members = (count: number, text: string) => new Array(count).fill(gzipSync(text));
  expect(await textOf(members(3_000, line))).toBe(line.repeat(3_000));
  expect(await textOf(members(1_000, ''))).toBe('');
  await expect(textOf(members(3_000, ''))).rejects.toMatchObject({ code: 'malformed_body' });
});

describe('a gzip body that is followed by', () => {
  test.each(trailers)('%s is taken at every door', async (_, behind) => {
    const gzip = { 'Content-Encoding': 'gzip' };
    const packed = (text: string) => Buffer.concat([gzipSync(text), behind]);
    const service = createTestApp({ bodyBytesMax: 2_000_000 });
    expect((await service.post(packed(json), gzip)).status).toBe(201);
    const ndjson = { ...gzip, 'Content-Type': 'application/x-ndjson' };
    const loaded = await service.post(packed(`${json}\n${json}\n`), ndjson);
    expect([loaded.status, await loaded.json()]).toEqual([201, { stored: 2, refused: 0, errors: [] }]);
    const drained = await deliver(service, packed(logplexFrame('measure#a=1')), { headers: gzip });
    expect(drained.status).toBe(200);
    expect(service.stored()).toHaveLength(4);
    expect(service.stored().every(({ bucket }) => bucket <= now)).toBe(true);
  });
});

test('a bulk load over a connection is answered, whatever follows its last member', async () => {
  const service = createTestApp();
  const { port, stop } = await serveHttp(service.app, { host: '127.0.0.1', port: 0 });
  onTestFinished(() => stop(0));
  const lines = `${json}\n`.repeat(10);
  for (const [, behind] of trailers) {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
      method: 'POST',
      body: Buffer.concat([gzipSync(lines), behind]),
      headers: { 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip' },
    });
    expect(await response.json()).toMatchObject({ stored: 10 });
  }
});
