import { describe, expect, test } from 'vitest';
import { createTestApp, problemOf, validSummary } from '../support/test-app.ts';

const { app } = createTestApp();

describe('a path that does not exist', () => {
  test.each([
    '/metric',
    '/page/',
    '/page/x',
    '/status/',
    '/metrics/',
    '/metrics/x',
    '//metrics',
    '/-/',
    '/docs/x',
    '/%',
    '/%ff',
    '/constructor',
  ])('%s is 404 and points at /docs', async (path) => {
    const response = await app.request(`http://localhost${path}`);
    expect(response.status).toBe(404);
    expect((await problemOf(response)).detail).toContain('/docs');
  });
});

describe('a method that a path does not take', () => {
  test.each([
    ['PUT', '/metrics', ['DELETE', 'GET', 'HEAD', 'POST']],
    ['PATCH', '/metrics?name=a', ['DELETE', 'GET', 'HEAD', 'POST']],
    ['POST', '/-/healthy', ['GET', 'HEAD']],
    ['POST', '/-/status', ['GET', 'HEAD']],
    ['DELETE', '/openapi.json', ['GET', 'HEAD']],
    ['POST', '/docs', ['GET', 'HEAD']],
  ])('%s %s is 405, with those that it takes in Allow, HEAD where it takes GET', async (method, path, allowed) => {
    const response = await app.request(path, { method });
    expect(response.status).toBe(405);
    const allow = response.headers.get('Allow')?.split(', ').toSorted();
    expect(allow).toEqual(allowed);
    expect((await problemOf(response)).detail).toMatch(/^this path takes /);
  });
});

describe('HEAD', () => {
  test.each(['/metrics', '/-/healthy', '/-/ready', '/-/status', '/-/metrics', '/openapi.json', '/docs'])(
    '%s answers as GET does, without the body',
    async (path) => {
      const [get, head] = await Promise.all([app.request(path), app.request(path, { method: 'HEAD' })]);
      expect(head.status).toBe(200);
      expect([...head.headers]).toEqual([...get.headers]);
      expect(await head.text()).toBe('');
    },
  );
});

describe('what is observed of a request', () => {
  test('is its route, status and duration, never its path or query', async () => {
    const tested = createTestApp();
    await tested.post(validSummary);
    await tested.get({ name: 'secret' });
    await tested.app.request('/secret/path');
    await tested.app.request('/docs/secret');
    expect(JSON.stringify(tested.observations)).not.toContain('secret');
    expect(tested.observations).toEqual(
      [
        { method: 'POST', route: '/metrics', status: 201 },
        { method: 'GET', route: '/metrics', status: 200 },
        { method: 'GET', route: expect.any(String), status: 404 },
        { method: 'GET', route: expect.any(String), status: 404 },
      ].map((request) => ({ type: 'request', durationMs: expect.any(Number), ...request })),
    );
  });
});
