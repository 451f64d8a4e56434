import { describe, expect, test } from 'vitest';
import { Failure, type FailureCode } from '../../src/domain/failure.ts';
import { createTestApp, problemOf, validSummary } from '../support/test-app.ts';

const secret = 'postgres://m2pg:hunter2@10.0.0.7/metrics';
const driverError = Object.assign(new Error(`connection to ${secret} refused`), { code: '08006', detail: secret });

const calls = [
  ['write', ({ post }: ReturnType<typeof createTestApp>) => post(validSummary)],
  ['read', ({ get }: ReturnType<typeof createTestApp>) => get()],
] as const;

describe('an error is problem JSON', () => {
  test.each([
    [400, 'malformed_body', 'POST', '/metrics', 'no JSON'],
    [413, 'body_too_large', 'POST', '/metrics', ' '.repeat(1_000_001)],
    [422, 'invalid_request', 'POST', '/metrics', '{}'],
    [422, 'invalid_request', 'GET', '/metrics?from=x', undefined],
    [404, 'not_found', 'GET', '/nowhere', undefined],
    [405, 'method_not_allowed', 'PUT', '/metrics', '{}'],
  ])('%d %s', async (status, code, method, path, body) => {
    const { app } = createTestApp();
    const response = await app.request(path, { method, ...(body !== undefined && { body }) });
    expect(response.status).toBe(status);
    expect(response.headers.get('Content-Type')).toBe('application/problem+json');
    const { type, title, status: repeated, detail, errors, ...rest } = await problemOf(response);
    expect({ type, status: repeated }).toEqual({ type: `urn:m2pg:problem:${code}`, status });
    expect([title, detail]).toEqual([expect.stringMatching(/\w/), expect.stringMatching(/\w/)]);
    if (status === 422) expect(errors).toContainEqual({ path: expect.any(String), message: expect.any(String) });
    else expect(errors).toBeUndefined();
    expect(rest).toEqual({});
  });
});

describe('a failure of the store is answered', () => {
  test.each<[FailureCode, number]>([
    ['too_few_copies', 503],
    ['no_database', 503],
    ['incomplete', 503],
    ['read_too_large', 422],
    ['invalid_pattern', 422],
    // Of a single database: none of these is meant to get here, and each must stay harmless if it does.
    ['unreachable', 500],
    ['authentication', 500],
    ['queue_full', 500],
    ['unknown', 500],
  ])('%s: %d', async (code, status) => {
    for (const [, call] of calls) {
      const tested = createTestApp();
      tested.memory.failure = new Failure(code, 'what may be told', { cause: driverError });
      const response = await call(tested);
      expect(response.status).toBe(status);
      expect(response.headers.get('Content-Type')).toBe('application/problem+json');
      expect(response.headers.get('Retry-After')).toBe(status === 503 ? '2' : null);
      expect(await response.text()).not.toContain('hunter2');
    }
  });

  test.each<FailureCode>(['invalid_pattern', 'read_too_large'])('%s names the parameter to change', async (code) => {
    const { get, memory } = createTestApp();
    memory.failure = new Failure(code, 'what is wrong');
    expect((await problemOf(await get())).errors).toEqual([{ path: 'name', message: 'what is wrong' }]);
  });
});

test('a write that too few databases committed is 503, says when to try again, and how many have', async () => {
  const { post, memory } = createTestApp();
  memory.failure = new Failure('too_few_copies', '0 of 2 databases have committed, 1 needed', { cause: driverError });
  const response = await post(validSummary);
  expect(response.status).toBe(503);
  expect(Number(response.headers.get('Retry-After'))).toBeGreaterThan(0);
  expect(await problemOf(response)).toEqual({
    type: 'urn:m2pg:problem:too_few_copies',
    title: 'Not enough databases have committed',
    status: 503,
    detail: '0 of 2 databases have committed, 1 needed',
  });
});

describe.each(calls)('an unexpected error of a %s', (_, call) => {
  test.each([
    ['an Error', driverError],
    ['a Failure that no client is meant to see', new Failure('data_refused', secret, { cause: driverError })],
  ])('as %s is 500, tells the client nothing and the log everything', async (_kind, error) => {
    const tested = createTestApp();
    tested.memory.failure = error;
    const response = await call(tested);
    expect(response.status).toBe(500);
    const told = JSON.stringify([await response.text(), ...response.headers]);
    expect(told).not.toMatch(/hunter2|10\.0\.0\.7|08006/);
    expect(told).toContain('the log of the service holds it');
    expect(tested.observations).toContainEqual(expect.objectContaining({ type: 'request_failed', cause: error }));
  });
});

test('an error of the client is not logged as one of ours', async () => {
  const { post, get, observations } = createTestApp();
  await post('no JSON');
  await get({ from: 'x' });
  expect(observations.map(({ type }) => type)).toEqual(['request', 'request']);
});
