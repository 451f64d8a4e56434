import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createTestApp, problemOf, validSummary } from '../support/test-app.ts';

/** So many bytes of one kind, a thousandth of it compressed; made of members, since to compress takes long. */
const bomb = (unit: string, megabytes: number) => {
  const member = gzipSync(unit.repeat(10_000_000 / unit.length));
  return Buffer.concat(new Array(megabytes / 10).fill(member));
};

const json = JSON.stringify(validSummary);
const gzip = { 'Content-Encoding': 'gzip' };
const ndjson = { 'Content-Type': 'application/x-ndjson' };
const whole = gzipSync(json);
const flipped = Buffer.from(whole);
flipped[flipped.length - 6] = (flipped.at(-6) ?? 0) ^ 1;

type Hostile = readonly [
  what: string,
  body: () => Buffer | string,
  headers: Record<string, string>,
  status: number,
  detail: RegExp,
];

const bodies: readonly Hostile[] = [
  ['10^5 lists within each other, never closed', () => '['.repeat(1e5), {}, 400, /not JSON/],
  ['10^5 lists within each other', () => '['.repeat(1e5) + ']'.repeat(1e5), {}, 422, /expected a summary/],
  ['10^5 objects within each other', () => `${'{"a":'.repeat(1e5)}1${'}'.repeat(1e5)}`, {}, 422, /missing/],
  [
    '10^5 lists within a field',
    () => json.replace('2.5', '['.repeat(1e5) + ']'.repeat(1e5)),
    {},
    422,
    /expected a finite/,
  ],
  ['3 x 10^4 lists within each other, a line', () => `${'['.repeat(3e4)}${']'.repeat(3e4)}\n`, ndjson, 422, /refused/],
  ['10^5 lists within each other, a line', () => `${'['.repeat(1e5)}${']'.repeat(1e5)}\n`, ndjson, 422, /refused/],
  ['UTF-8 that is overlong', () => Buffer.from([0x22, 0xc0, 0x80, 0x22]), {}, 400, /not UTF-8/],
  ['UTF-8 beyond Unicode', () => Buffer.from([0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]), {}, 400, /not UTF-8/],
  ['UTF-8 of a surrogate', () => Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), {}, 400, /not UTF-8/],
  ['UTF-8 cut within a character', () => Buffer.from([0x22, 0xe2, 0x82]), {}, 400, /not UTF-8/],
  ['bad UTF-8, a line', () => Buffer.from([0x22, 0xff, 0x22, 0x0a]), ndjson, 422, /refused/],
  ['gzip that is none', () => json, gzip, 400, /not gzip/],
  ['gzip that is bad', () => Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff]), gzip, 400, /not gzip/],
  ['gzip with a wrong checksum', () => flipped, gzip, 400, /not gzip/],
  ['gzip cut short', () => whole.subarray(0, -9), gzip, 400, /ended early/],
  ['zlib instead of gzip', () => deflateSync(json), gzip, 400, /not gzip/],
  ['gzip within gzip', () => gzipSync(whole), gzip, 400, /not UTF-8/],
  ['gzip of nothing', () => gzipSync(''), gzip, 400, /empty/],
  [
    'gzip that is bad, of lines',
    () => Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff]),
    { ...gzip, ...ndjson },
    400,
    /gzip/,
  ],
  ['a gzip bomb of 1 GB', () => bomb('[', 1_000), gzip, 413, /at most 1000000 bytes/],
  ['a gzip bomb of 1 GB of blank lines', () => bomb('\n', 1_000), { ...gzip, ...ndjson }, 422, /not read on/],
  ['a gzip bomb of 1 GB of broken lines', () => bomb('{\n', 1_000), { ...gzip, ...ndjson }, 422, /not read on/],
];

describe('a body made to do harm is refused, touches no database, and the next is taken', () => {
  test.each(bodies)('%s', async (_, body, headers, status, detail) => {
    const { post, memory, observations, stored } = createTestApp();
    const response = await post(body(), headers);
    expect(response.status).toBe(status);
    const problem = await problemOf(response);
    expect(`${problem.detail} ${JSON.stringify(problem.errors)}`).toMatch(detail);
    expect(memory.calls).toEqual({ write: 0, read: 0 });
    expect(observations.map(({ type }) => type)).not.toContain('request_failed');
    expect((await post(whole, gzip)).status).toBe(201);
    expect(stored()).toHaveLength(1);
  });
});
