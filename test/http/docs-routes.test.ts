import { describe, expect, test } from 'vitest';
import { statisticNames } from '../../src/domain/summary.ts';
import { createTestApp } from '../support/test-app.ts';

const { app } = createTestApp({ bodyBytesMax: 1_234 });

type Json = { readonly [key: string]: Json } & readonly Json[];

async function openApi(): Promise<Json> {
  return (await (await app.request('/openapi.json')).json()) as Json;
}

/** Every value anywhere within. */
function* within(value: unknown): Generator<unknown> {
  yield value;
  if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) yield* within(inner);
}

/** What a reference such as `#/components/schemas/Summary` points at. */
function resolve(document: Json, reference: string): unknown {
  expect(reference).toMatch(/^#\//);
  return reference
    .slice(2)
    .split('/')
    .reduce<Json | undefined>((part, key) => part?.[key], document);
}

describe('/openapi.json', () => {
  test('is OpenAPI 3.1 with a title and a version', async () => {
    const response = await app.request('/openapi.json');
    expect(response.headers.get('Content-Type')).toMatch(/^application\/json/);
    const { openapi, info } = await openApi();
    expect(openapi).toMatch(/^3\.1\.\d+$/);
    expect(info).toMatchObject({ title: 'm2pg', version: '0.0.0' });
  });

  test('holds every route of the service', async () => {
    const served = app.routes
      .filter(({ method, path }) => method !== 'ALL' && !/^\/((docs|openapi|page|status).*)?$/.test(path))
      .map(({ method, path }) => `${method.toLowerCase()} ${path}`);
    const { paths } = await openApi();
    const described = Object.entries(paths ?? {}).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method} ${path}`),
    );
    expect(new Set(described)).toEqual(new Set(served));
    expect(described.toSorted()).toEqual([
      'delete /metrics',
      'get /-/healthy',
      'get /-/metrics',
      'get /-/ready',
      'get /-/status',
      'get /metrics',
      'get /metrics/names',
      'post /logs',
      'post /metrics',
    ]);
  });

  test('refers to nothing that it does not hold', async () => {
    const document = await openApi();
    const references = [...within(document)].flatMap((value) => (value as Json | null)?.$ref ?? []);
    expect(references.length).toBeGreaterThan(5);
    for (const reference of references) expect(resolve(document, String(reference))).toBeTypeOf('object');
  });

  test('describes every answer, and every parameter with its schema', async () => {
    const { paths } = await openApi();
    for (const operation of Object.values(paths ?? {}).flatMap((item) => Object.values(item))) {
      expect(operation).toMatchObject({ summary: expect.stringMatching(/\w/) });
      for (const [status, answer] of Object.entries(operation.responses ?? {})) {
        expect(status).toMatch(/^[2-5]\d\d$/);
        expect(answer).toMatchObject({ description: expect.stringMatching(/\w/) });
      }
      for (const parameter of operation.parameters ?? []) {
        expect(parameter).toMatchObject({
          name: expect.stringMatching(/\w/),
          in: expect.stringMatching(/^(query|header)$/),
          description: expect.stringMatching(/\w/),
          schema: { type: 'string' },
        });
      }
    }
  });

  test('tells the parameters and the answers of the read and the write', async () => {
    const { paths } = await openApi();
    const namesOf = (operation: Json | undefined) => (operation?.parameters ?? []).map(({ name }) => name);
    const { get, post } = (paths as Json)['/metrics'] as Json;
    expect(namesOf(get)).toEqual([
      'name',
      'from',
      'to',
      'resolution',
      'timezone',
      'perc',
      'accuracy',
      'partial',
      'format',
    ]);
    expect(namesOf(post)).toEqual(['Idempotency-Key']);
    expect(Object.keys(get?.responses ?? {})).toEqual(['200', '422', '503']);
    expect(Object.keys(post?.responses ?? {})).toEqual(['201', '400', '408', '413', '415', '422', '503']);
    expect(JSON.stringify(post?.responses?.['413'])).toContain('1234 bytes');
  });

  test('carries the limits of what may be written', async () => {
    const document = await openApi();
    const { Summary: summary, RawPoint: point } = (document.components as Json).schemas as Json;
    expect(summary?.required).toEqual(['name', 'bucket', ...statisticNames]);
    expect(point?.required).toEqual(['name', 'value']);
    const limits = { type: 'number', minimum: -1e300, maximum: 1e300 };
    expect(summary?.properties).toMatchObject({
      name: { type: 'string', minLength: 1, maxLength: 255 },
      bucket: {
        anyOf: [{ type: 'number' }, { type: 'string' }],
        description: expect.stringContaining('Not before 1970'),
      },
      ...Object.fromEntries(statisticNames.map((statistic) => [statistic, limits])),
      count: { type: 'number', minimum: 0, maximum: 2 ** 53 },
    });
    expect(point?.properties?.value).toMatchObject(limits);
    expect(JSON.stringify(document.paths)).toContain('"maxItems":10000');
  });
});

describe('/docs', () => {
  test('is a page that loads all it needs from here', async () => {
    const response = await app.request('/docs');
    expect([response.status, response.headers.get('Content-Type')]).toEqual([200, 'text/html; charset=UTF-8']);
    const page = await response.text();
    const loaded = [...page.matchAll(/(?:src|href|url)(?:="|: ')([^"']+)/g)].map(([, path]) => `/${path}`);
    expect(loaded).toEqual(['/docs/swagger-ui.css', '/docs/dark.css', '/docs/swagger-ui-bundle.js', '/docs/start.js']);
    for (const path of loaded) expect((await app.request(path)).status).toBe(200);
  });

  test.each([
    ['/docs/swagger-ui.css', 'text/css; charset=utf-8', '.swagger-ui'],
    ['/docs/swagger-ui-bundle.js', 'text/javascript; charset=utf-8', 'SwaggerUIBundle'],
  ])('%s is served as %s', async (path, contentType, excerpt) => {
    const response = await app.request(path);
    expect(response.headers.get('Content-Type')).toBe(contentType);
    expect(response.headers.get('Cache-Control')).toBe('public, max-age=86400');
    expect(await response.text()).toContain(excerpt);
  });

  test.each(['package.json', 'index.html', 'constructor', '__proto__', '..%2fpackage.json', '%2e%2e%2fpackage.json'])(
    'does not serve %s',
    async (file) => {
      expect((await app.request(`/docs/${file}`)).status).toBe(404);
    },
  );
});
