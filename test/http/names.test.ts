import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/domain/failure.ts';
import type { NamesQuery } from '../../src/domain/store.ts';
import { summaryOf } from '../support/summaries.ts';
import { createTestApp, now, problemOf, type TestAppOptions, validSummary } from '../support/test-app.ts';

function createNamesApp(options: TestAppOptions = {}) {
  const tested = createTestApp(options);
  return {
    ...tested,
    find: (query: Record<string, string> = {}) => tested.app.request(`/metrics/names?${new URLSearchParams(query)}`),
  };
}

describe('GET /metrics/names', () => {
  test('answers the names that match with the time that they cover, and who was asked', async () => {
    const { post, find } = createNamesApp();
    await post([validSummary, { ...validSummary, bucket: now - 600 }, { ...validSummary, name: 'bar' }]);
    const response = await find({ match: '^foo' });
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual([
      { name: validSummary.name, units: null, first: now - 600, last: validSummary.bucket },
    ]);
    const headers = ['M2pg-Databases', 'M2pg-Complete', 'M2pg-More', 'Cache-Control'];
    expect(headers.map((name) => response.headers.get(name))).toEqual(['db1=ok', 'true', 'false', 'no-store']);
  });

  test('answers 100 unless told otherwise, and says that there are more', async () => {
    const { memory, find } = createNamesApp();
    const names = Array.from({ length: 101 }, (_, index) => `n${String(index).padStart(3, '0')}`);
    await memory.write(names.map((name) => summaryOf({ name, bucket: now })));
    const usual = await find();
    expect([((await usual.json()) as unknown[]).length, usual.headers.get('M2pg-More')]).toEqual([100, 'true']);
    const all = await find({ limit: '101' });
    expect([((await all.json()) as unknown[]).length, all.headers.get('M2pg-More')]).toEqual([101, 'false']);
  });

  test.each(['0', '1001', '-1', '1.5', '1e2', '', 'all', '99999999999999999999'])(
    'refuses the limit %j',
    async (limit) => {
      const response = await createNamesApp().find({ limit });
      expect(response.status).toBe(422);
      expect((await problemOf(response)).errors).toEqual([
        { path: 'limit', message: 'expected a whole number from 1 to 1000' },
      ]);
    },
  );

  test.each([
    ['a\\1', 'must not hold back-references such as \\1'],
    ['a'.repeat(257), 'is longer than 256 bytes'],
  ])('refuses the pattern %j as a read does', async (match, message) => {
    const response = await createNamesApp().find({ match });
    expect([response.status, (await problemOf(response)).errors]).toEqual([422, [{ path: 'match', message }]]);
  });

  test('says of a pattern that only the databases can judge that it is `match`', async () => {
    const response = await createNamesApp().find({ match: '(' });
    expect(response.status).toBe(422);
    expect(await problemOf(response)).toMatchObject({
      type: 'urn:m2pg:problem:invalid_pattern',
      errors: [{ path: 'match' }],
    });
  });

  test('is 503 when no database answered', async () => {
    const { find, memory } = createNamesApp();
    memory.failure = new Failure('no_database', 'no database answered');
    expect((await find()).status).toBe(503);
  });

  test('takes nothing for a name that is past RETENTION', async () => {
    const asked: NamesQuery[] = [];
    const store = {
      ...createTestApp().memory,
      names: async (query: NamesQuery) => {
        asked.push(query);
        return { names: [], more: false, outcomes: [], complete: true };
      },
    };
    await createNamesApp({ store, retentionSeconds: 3_600 }).find();
    await createNamesApp({ store }).find();
    expect(asked.map(({ from }) => from)).toEqual([now - 3_600, 0]);
  });

  test('needs a token that may read', async () => {
    const tokens = [{ scope: 'write', secret: 'write-0123456789abcdef' }] as const;
    const { app } = createNamesApp({ tokens });
    expect((await app.request('/metrics/names')).status).toBe(401);
    const headers = { Authorization: 'Bearer write-0123456789abcdef' };
    expect((await app.request('/metrics/names', { headers })).status).toBe(403);
  });

  test('waits its turn among the reads', async () => {
    const held = Promise.withResolvers<void>();
    let underWay = 0;
    const store = {
      ...createTestApp().memory,
      names: async () => {
        underWay += 1;
        await held.promise;
        return { names: [], more: false, outcomes: [], complete: true };
      },
    };
    const { find } = createNamesApp({ store, readsMax: 2 });
    const answers = [find(), find(), find()];
    await new Promise(setImmediate);
    expect(underWay).toBe(2);
    held.resolve();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(underWay).toBe(3);
  });
});
