import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyValueOf, mutated, type OpenApi, oddJson, operationsOf } from '../support/openapi.ts';
import { createTestApp, problemOf, validSummary } from '../support/test-app.ts';

const tested = createTestApp();
const document = (await (await tested.app.request('/openapi.json')).json()) as OpenApi;
const operations = operationsOf(document);

/** Bytes as HTTP has them in a header, one character each, without those that end it. */
const headerText = fc
  .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 300 })
  .map((codes) => String.fromCharCode(...codes.filter((code) => code !== 0x7f)).trim());

const contentType = fc.oneof(
  { arbitrary: fc.constant('application/json'), weight: 4 },
  fc.constantFrom('application/x-ndjson', 'application/jsonl; charset=x', 'text/plain', 'multipart/form-data', ''),
  headerText,
);
const contentEncoding = fc.oneof(
  { arbitrary: fc.constant(''), weight: 4 },
  fc.constantFrom('gzip', 'GZIP', 'identity', 'br', 'gzip, gzip', 'x-gzip'),
  headerText,
);

const headers = fc.record(
  {
    'Content-Type': contentType,
    'Content-Encoding': contentEncoding,
    'Idempotency-Key': headerText,
    Accept: headerText,
  },
  { requiredKeys: [] },
);

const queryText = fc.oneof(
  fc.constantFrom('9404208000000', '1355202720000', '1e400', '-0', '%00', '%ff', '\ud800', '\0', '-1h', 'now', '1mo'),
  fc.string({ unit: 'binary', maxLength: 300 }),
  oddJson,
);

/** A call with what the document says of it, or nearly so. */
const call = fc.constantFrom(...operations).chain((operation) => {
  const given = operation.parameters
    .filter((parameter) => parameter.in === 'query')
    .map(({ name, schema }) => [name, fc.oneof(anyValueOf(schema, document).map(String), queryText)] as const);
  const query = fc.oneof(
    fc.record(Object.fromEntries(given), { requiredKeys: [] }).map(Object.entries),
    fc.array(fc.tuple(fc.string(), queryText), { maxLength: 3 }),
  );
  const valid = operation.body ? anyValueOf(operation.body, document) : fc.constant(undefined);
  const json = valid.chain((value) =>
    fc.oneof(fc.constant(JSON.stringify(value) ?? ''), mutated(value), oddJson, fc.string({ unit: 'binary' })),
  );
  const isCompressed = fc.boolean();
  return fc.record({ operation: fc.constant(operation), query, headers, json, isCompressed });
});

type Call = typeof call extends fc.Arbitrary<infer Value> ? Value : never;

async function make({ app }: typeof tested, call: Call, more: Record<string, string> = {}): Promise<Response> {
  const { operation, query, json, isCompressed } = call;
  const { method, path } = operation;
  const headers = { ...call.headers, ...more };
  const target = `${path}?${new URLSearchParams(query as [string, string][])}`;
  if (method === 'GET') return app.request(target, { method, headers });
  const body = isCompressed && /gzip/i.test(call.headers['Content-Encoding'] ?? '') ? gzipSync(json) : json;
  return app.request(target, { method, headers, body });
}

/** Every refusal says what was wrong, as a problem. */
async function expectProblem(response: Response): Promise<void> {
  expect(response.headers.get('Content-Type')).toBe('application/problem+json');
  const problem = await problemOf(response);
  expect(problem).toMatchObject({
    type: expect.stringMatching(/^urn:m2pg:problem:[a-z_]+$/),
    title: expect.stringMatching(/./),
    status: response.status,
    detail: expect.stringMatching(/.{8}/),
  });
  if (problem.type !== 'urn:m2pg:problem:invalid_request') return;
  expect(problem.errors?.length).toBeGreaterThan(0);
  for (const { message } of problem.errors ?? []) expect(message).toMatch(/\w/);
}

test('any call of the OpenAPI document, right or nearly so, gets an answer that the document tells of', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(call, async (given) => {
      const response = await make(tested, given);
      const { method, path, statuses } = given.operation;
      expect(statuses).toContain(response.status);
      expect(response.status).toBeLessThan(500);
      if (response.status >= 400) await expectProblem(response);
      else await response.text();
      seen.add(`${method} ${path} ${response.status}`);
    }),
    { numRuns: 9_000 },
  );
  expect(tested.observations.filter(({ type }) => type === 'request_failed')).toEqual([]);
  for (const { method, path } of operations) {
    const status = method === 'POST' && path === '/metrics' ? 201 : 200;
    // What never succeeds, or never fails, proves little.
    expect([...seen]).toContain(`${method} ${path} ${status}`);
  }
  expect([...seen]).toEqual(
    expect.arrayContaining([400, 415, 422].map((status) => `POST /metrics ${status}`).concat('GET /metrics 422')),
  );
});

test('any call with any token, where tokens are needed, gets an answer that the document tells of', async () => {
  const tokens = (['read', 'write', 'admin'] as const).map((scope) => ({ scope, secret: `${scope}-0123456789abcdef` }));
  const guarded = createTestApp({ tokens });
  const documented = operationsOf((await (await guarded.app.request('/openapi.json')).json()) as OpenApi);
  const authorization = fc.oneof(
    fc.constantFrom(...tokens.map(({ secret }) => `Bearer ${secret}`), 'Bearer x', 'Basic OjpAOg==', ''),
    headerText,
  );
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(call, authorization, async (given, Authorization) => {
      const response = await make(guarded, given, { Authorization });
      const { method, path } = given.operation;
      const statuses = documented.find((one) => one.method === method && one.path === path)?.statuses;
      expect(statuses).toContain(response.status);
      if (response.status >= 400) await expectProblem(response);
      seen.add(`${method} ${path} ${response.status}`);
    }),
    { numRuns: 3_000 },
  );
  const needy = documented.filter(({ statuses }) => statuses.includes(401));
  expect(needy.length).toBeGreaterThanOrEqual(5);
  for (const { method, path } of needy) {
    expect([...seen]).toEqual(expect.arrayContaining([`${method} ${path} 401`, `${method} ${path} 403`]));
  }
});

test('any method and any path get 2xx or 4xx', async () => {
  const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'x');
  const piece = fc.oneof(
    fc.constantFrom(...operations.map(({ path }) => path), '/docs', '..', '%2e%2e', '%00', '//', '\\', ':file', '*'),
    fc.string({ unit: 'binary', maxLength: 20 }).map((text) => encodeURI(text.toWellFormed())),
  );
  const path = fc.array(piece, { maxLength: 3 }).map((pieces) => `/${pieces.join('/')}`.replace(/^\/+/, '/'));
  await fc.assert(
    fc.asyncProperty(method, path, headers, async (verb, target, given) => {
      const response = await tested.app.request(`http://m2pg${target}`, { method: verb, headers: given });
      await response.text();
      expect(response.status).toBeLessThan(500);
    }),
    { numRuns: 500 },
  );
});

test('after all that, a write and a read are as ever', async () => {
  expect(await (await tested.post({ ...validSummary, name: 'after' })).json()).toMatch(/^[0-9a-f-]{36}$/);
  const [series] = (await (await tested.get({ name: '^after$' })).json()) as { count: unknown }[];
  expect(series?.count).toEqual([{ bucket: validSummary.bucket, value: validSummary.count }]);
});
