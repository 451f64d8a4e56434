import { describe, expect, test } from 'vitest';
import type { Token } from '../../src/domain/token.ts';
import { type OpenApi, operationsOf } from '../support/openapi.ts';
import { createTestApp, problemOf, validSummary } from '../support/test-app.ts';

const tokens: readonly Token[] = [
  { scope: 'write', secret: 'write-0123456789abcdef' },
  { scope: 'write', secret: 'write-to-be-rotated-in' },
  { scope: 'read', secret: 'read-0123456789abcdef' },
  { scope: 'admin', secret: 'admin-0123456789abcdef' },
];
const [write, newWrite, read, admin] = tokens.map(({ secret }) => secret) as [string, string, string, string];
const bearer = (secret: string) => ({ Authorization: `Bearer ${secret}` });
const basic = (pair: string) => ({ Authorization: `Basic ${Buffer.from(pair).toString('base64')}` });

describe('a service with tokens', () => {
  test.each([
    ['a write by Bearer', bearer(write)],
    ['a write by the second token, in rotation', bearer(newWrite)],
    ['a write by admin', bearer(admin)],
    ['a write by Basic, the token as user', basic(`${write}:`)],
    ['a write by Basic, the token as password', basic(`l2met:${write}`)],
    ['a write by bearer in lower case', { Authorization: `bearer ${write}` }],
  ])('takes %s', async (_, headers) => {
    const { post } = createTestApp({ tokens });
    expect((await post(validSummary, headers)).status).toBe(201);
  });

  test.each<[string, Record<string, string>, number]>([
    ['no token', {}, 401],
    ['an unknown one', bearer('write-0123456789abcdeg'), 401],
    ['part of one', bearer(write.slice(0, -1)), 401],
    ['more than one', bearer(`${write}x`), 401],
    ['an empty one', { Authorization: 'Bearer ' }, 401],
    ['another scheme', { Authorization: `Token ${write}` }, 401],
    ['Basic that is not base64', { Authorization: 'Basic ???' }, 401],
    ['one that may read', bearer(read), 403],
  ])('refuses a write with %s, and reads no body', async (_, headers, status) => {
    const { app, memory } = createTestApp({ tokens });
    let isRead = false;
    const body = new ReadableStream(
      {
        pull(controller) {
          isRead = true;
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const response = await app.request('/metrics', { method: 'POST', body, headers, duplex: 'half' } as RequestInit);
    expect(response.status).toBe(status);
    expect(response.headers.get('WWW-Authenticate')?.startsWith('Bearer')).toBe(status === 401 ? true : undefined);
    expect((await problemOf(response)).detail).toContain('may write');
    expect([isRead, memory.calls.write]).toEqual([false, 0]);
  });

  test('a token that may write may not read, nor the other way round', async () => {
    const { app, post } = createTestApp({ tokens });
    expect((await app.request('/metrics', { headers: bearer(read) })).status).toBe(200);
    expect((await app.request('/metrics', { headers: bearer(admin) })).status).toBe(200);
    expect((await app.request('/metrics', { headers: bearer(write) })).status).toBe(403);
    expect((await app.request('/metrics', { method: 'HEAD' })).status).toBe(401);
    expect((await post(validSummary, bearer(read))).status).toBe(403);
  });

  test('NDJSON needs a token that may write', async () => {
    const { post } = createTestApp({ tokens });
    const ndjson = { 'Content-Type': 'application/x-ndjson' };
    expect((await post(JSON.stringify(validSummary), ndjson)).status).toBe(401);
    expect((await post(JSON.stringify(validSummary), { ...ndjson, ...bearer(write) })).status).toBe(201);
  });

  test('shows without a token only whether it lives, its documentation and its pages, which hold no data', async () => {
    const { app } = createTestApp({ tokens });
    const routes = new Set(
      app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`),
    );
    const open = [];
    for (const route of routes) {
      const [method = '', path = ''] = route.split(' ');
      const { status } = await app.request(
        path.replace('page/:file', 'page/page.css').replace(':file', 'swagger-ui.css'),
        { method },
      );
      if (status !== 401) open.push(route);
    }
    expect(open.toSorted()).toEqual(
      [
        '/',
        '/-/healthy',
        '/-/ready',
        '/docs',
        '/docs/:file',
        '/docs/dark.css',
        '/docs/start.js',
        '/openapi.json',
        '/page/:file',
        '/status',
      ].map((path) => `GET ${path}`),
    );
  });

  test('documents what it answers without a token and with one of another scope, where one is needed', async () => {
    const refusalsIn = async (options: { tokens?: readonly Token[] }) => {
      const { app } = createTestApp(options);
      const document = (await (await app.request('/openapi.json')).json()) as OpenApi;
      return operationsOf(document).map(({ method, path, statuses }) => ({
        route: `${method} ${path}`,
        refusals: statuses.filter((status) => status === 401 || status === 403),
      }));
    };
    for (const { route, refusals } of await refusalsIn({ tokens })) {
      expect([route, refusals]).toEqual([route, /healthy|ready/.test(route) ? [] : [401, 403]]);
    }
    for (const { refusals } of await refusalsIn({})) expect(refusals).toEqual([]);
  });

  test('a route that nobody thought of needs admin', async () => {
    const { app } = createTestApp({ tokens });
    app.get('/-/secret', (c) => c.text('secret'));
    expect((await app.request('/-/secret')).status).toBe(401);
    expect((await app.request('/-/secret', { headers: bearer(read) })).status).toBe(403);
    expect((await app.request('/-/secret', { headers: bearer(admin) })).status).toBe(200);
  });

  test('says 404 and 405 as ever', async () => {
    const { app } = createTestApp({ tokens });
    expect((await app.request('/nothing')).status).toBe(404);
    expect((await app.request('/metrics', { method: 'PATCH' })).status).toBe(405);
  });
});

test('without tokens everybody may do everything', async () => {
  const { app, post } = createTestApp();
  expect((await post(validSummary)).status).toBe(201);
  expect((await app.request('/metrics')).status).toBe(200);
});

describe('headers that browsers obey', () => {
  test('are on every answer, errors and writes included', async () => {
    const { app, post } = createTestApp();
    const answers = [
      await post(validSummary),
      await post(JSON.stringify(validSummary), { 'Content-Type': 'application/x-ndjson' }),
      await post('no JSON'),
      await app.request('/metrics'),
      await app.request('/nothing'),
      await app.request('/-/healthy'),
      await app.request('/docs'),
    ];
    for (const { headers } of answers) {
      expect(headers.get('X-Content-Type-Options')).toBe('nosniff');
      expect(headers.get('Content-Security-Policy')).toContain("frame-ancestors 'none'");
    }
  });

  test('let the documentation run its own scripts and no others', async () => {
    const { app } = createTestApp();
    const page = await app.request('/docs');
    expect(page.headers.get('Content-Security-Policy')).toContain("script-src 'self';");
    expect(await page.text()).not.toMatch(/<script>|onload=/);
    expect(await (await app.request('/docs/start.js')).text()).toContain('SwaggerUIBundle(');
  });

  test('allow no other origin, unless it is named', async () => {
    const headers = { Origin: 'https://charts.example.com' };
    const closed = await createTestApp().app.request('/metrics', { headers });
    expect(closed.headers.get('Access-Control-Allow-Origin')).toBeNull();
    const { app } = createTestApp({ corsOrigins: ['https://charts.example.com'], tokens });
    const allowed = await app.request('/metrics', { headers });
    expect(allowed.headers.get('Access-Control-Allow-Origin')).toBe('https://charts.example.com');
    expect(allowed.headers.get('Vary')).toContain('Origin');
    const other = await app.request('/metrics', { headers: { Origin: 'https://evil.example.com' } });
    expect(other.headers.get('Access-Control-Allow-Origin')).toBeNull();
    const preflight = await app.request('/metrics', {
      method: 'OPTIONS',
      headers: {
        ...headers,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('Access-Control-Allow-Headers')).toContain('Authorization');
  });
});
