import fc from 'fast-check';
import { expect, test } from 'vitest';
import { statisticNames } from '../../src/domain/summary.ts';
import { createTestApp, now, validSummary } from '../support/test-app.ts';

const { app, memory, post } = createTestApp();

/** Checks what holds for every answer: no fault of ours, and JSON. */
async function checkAnswer(response: Response, allowed: readonly number[]): Promise<number> {
  expect(allowed).toContain(response.status);
  expect(response.headers.get('Content-Type')).toMatch(/^application\/(problem\+)?json/);
  await response.json();
  return response.status;
}

const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, -0, 1e300, 2 ** 53, now));
const value = fc.oneof(number, fc.jsonValue(), fc.string({ unit: 'binary' }));
const keys = ['name', 'bucket', 'value', ...statisticNames];

/** Near a summary: most fields right, any of them replaced or left out. */
const nearSummary = fc
  .tuple(fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 3 }), fc.subarray(keys, { minLength: 9 }))
  .map(([changed, kept]) => {
    const fields = Object.entries({ ...validSummary, ...changed });
    return Object.fromEntries(fields.filter(([key]) => kept.includes(key)));
  });

test('any JSON value as a body is answered 201 or 422, in JSON', async () => {
  const seen = new Set<number>();
  const body = fc.oneof(fc.jsonValue(), nearSummary, fc.array(fc.oneof(nearSummary, fc.jsonValue()), { maxLength: 3 }));
  await fc.assert(
    fc.asyncProperty(body, async (json) => {
      const before = memory.calls.write;
      const status = await checkAnswer(await post(JSON.stringify(json) ?? 'null'), [201, 422]);
      expect(memory.calls.write - before).toBe(status === 201 ? 1 : 0);
      seen.add(status);
    }),
    { numRuns: 500 },
  );
  // A generator that never hits one of them would prove little.
  expect([...seen].toSorted()).toEqual([201, 422]);
});

test('whatever is stored is valid: finite, within limits, with a name of 1 to 255 bytes', async () => {
  await fc.assert(
    fc.asyncProperty(nearSummary, async (json) => {
      await post(JSON.stringify(json));
    }),
    { numRuns: 300 },
  );
  expect(memory.summaries.size).toBeGreaterThan(20);
  for (const summary of memory.summaries.values()) {
    for (const statistic of statisticNames) expect(Math.abs(summary[statistic])).toBeLessThanOrEqual(1e300);
    expect(summary.count).toBeGreaterThanOrEqual(0);
    expect(summary.bucket).toBeGreaterThanOrEqual(0);
    expect(summary.bucket).toBeLessThanOrEqual(now + 3_600);
    expect(Buffer.byteLength(summary.name)).toBeGreaterThan(0);
    expect(Buffer.byteLength(summary.name)).toBeLessThanOrEqual(255);
    expect(Object.isFrozen(summary)).toBe(true);
  }
});

test('any bytes as a body are answered 201 or 4xx, in JSON', async () => {
  const encoding = fc.constantFrom('identity', 'gzip', 'br', '');
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 50 }), encoding, async (bytes, contentEncoding) => {
      const response = await post(bytes, { 'Content-Encoding': contentEncoding });
      await checkAnswer(response, [201, 400, 415, 422]);
    }),
    { numRuns: 300 },
  );
});

test('any strings as parameters are answered 200 or 422, in JSON', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string(),
    fc.stringMatching(/^-?\d{1,14}[smhdwy]?$/),
    fc.constantFrom('now', '-1h', 'day', 'UTC', 'Europe/Berlin', 'constructor', 'allow', 'refuse', '%', '+'),
  );
  const parameter = fc.constantFrom('name', 'from', 'to', 'resolution', 'timezone', 'partial', 'other');
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(parameter, text), { maxLength: 4 }), async (pairs) => {
      const query = new URLSearchParams(pairs);
      seen.add(await checkAnswer(await app.request(`/metrics?${query}`), [200, 422]));
    }),
    { numRuns: 500 },
  );
  expect([...seen].toSorted()).toEqual([200, 422]);
});

test('any raw query, escaped badly or not at all, is answered 200 or 422', async () => {
  const character = fc.constantFrom(
    '%',
    '%f',
    '%ff',
    '%00',
    '+',
    '&',
    '=',
    'name',
    'from=',
    'to=',
    'ü',
    '[',
    ';',
    '-1h',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(character, { maxLength: 8 }), async (characters) => {
      await checkAnswer(await app.request(`/metrics?${characters.join('')}`), [200, 422]);
    }),
    { numRuns: 300 },
  );
});
