import { describe, expect, test } from 'vitest';
import { statisticNames } from '../../src/domain/summary.ts';
import { createTestApp, now, problemOf, type TestAppOptions, validSummary } from '../support/test-app.ts';

const day = 86_400;

/** Posts what must be refused, and gives the errors of the answer. */
async function errorsOf(body: unknown, options: TestAppOptions = {}) {
  const { post, memory } = createTestApp(options);
  const response = await post(body);
  expect(response.status).toBe(422);
  expect(memory.calls.write).toBe(0);
  return (await problemOf(response)).errors ?? [];
}

/** A summary as JSON text with one field replaced by raw JSON, which may hold what no JavaScript value does. */
function jsonWith(field: string, json: string): string {
  return JSON.stringify({ ...validSummary, [field]: 'PLACEHOLDER' }).replace('"PLACEHOLDER"', () => json);
}

describe('a missing statistic is named, not taken for 0', () => {
  test.each(statisticNames)('%s', async (statistic) => {
    const { [statistic]: _, ...rest } = validSummary;
    expect(await errorsOf(rest)).toEqual([{ path: statistic, message: expect.stringMatching(/^missing/) }]);
  });

  test('with its place in an array', async () => {
    const { perc95: _, ...rest } = validSummary;
    const body = [validSummary, validSummary, validSummary, rest];
    expect(await errorsOf(body)).toEqual([{ path: '3.perc95', message: expect.stringMatching(/^missing/) }]);
  });

  test('and so are all the others that are missing', async () => {
    const errors = await errorsOf({});
    expect(errors.map(({ path }) => path)).toEqual(['name', 'bucket', ...statisticNames]);
  });
});

describe('nothing is stored of a request', () => {
  test('of which one summary is invalid: it touches no database', async () => {
    const { post, memory } = createTestApp();
    expect((await post([validSummary, { ...validSummary, count: -1 }, validSummary])).status).toBe(422);
    expect(memory.calls).toEqual({ write: 0, read: 0 });
  });

  test('and no more than a hundred of its problems are listed', async () => {
    const errors = await errorsOf(Array.from({ length: 1_000 }, () => 7));
    expect(errors).toHaveLength(101);
    expect(errors.at(-1)).toEqual({ path: '', message: '900 more problems are not listed' });
  });
});

describe('a summary is refused that is', () => {
  test.each(['null', 'true', '7', '"text"', '[[]]', '[null]', '[{"name":"a","value":1}, 7]'])('%s', async (json) => {
    const [error] = await errorsOf(json);
    expect(error?.message).toContain('expected a summary');
  });
});

describe('a name is refused', () => {
  test.each([
    ['that is empty', '""', /1 to 255 bytes/],
    ['of 256 bytes', JSON.stringify('a'.repeat(256)), /1 to 255 bytes/],
    ['of 128 characters in 256 bytes', JSON.stringify('ü'.repeat(128)), /1 to 255 bytes/],
    ['with NUL', '"a\\u0000b"', /control characters/],
    ['with a line feed', '"a\\nb"', /control characters/],
    ['with DEL', '"a\\u007f"', /control characters/],
    ['with a C1 control character', '"a\\u0085"', /control characters/],
    ['with a high surrogate alone', '"a\\ud800"', /well-formed/],
    ['with a low surrogate alone', '"\\udc00a"', /well-formed/],
    ['that is a number', '7', /expected a string/],
    ['that is null', 'null', /expected a string/],
    ['that is a list', '["a"]', /expected a string/],
  ])('%s', async (_, json, message) => {
    expect(await errorsOf(jsonWith('name', json))).toEqual([{ path: 'name', message: expect.stringMatching(message) }]);
  });
});

test.each([
  ['of 1 byte', 'a'],
  ['of 255 bytes', 'a'.repeat(255)],
  ['of 255 bytes in 85 characters', '✓'.repeat(85)],
  ['with tags', 'web.requests;host=a b;zone=ü'],
  ['with a surrogate pair', '"\\😀"'],
])('a name is accepted %s', async (_, name) => {
  const { post, stored } = createTestApp();
  expect((await post({ ...validSummary, name })).status).toBe(201);
  expect(stored()[0]?.name).toBe(name);
});

describe('a count is refused', () => {
  test.each([
    ['-1', /at least 0/],
    ['-1e-300', /at least 0/],
    ['9007199254740994', /at most 2\^53/],
    ['1e400', /finite number/],
    ['null', /finite number/],
    ['"10"', /finite number/],
    ['true', /finite number/],
  ])('of %s', async (json, message) => {
    expect(await errorsOf(jsonWith('count', json))).toEqual([
      { path: 'count', message: expect.stringMatching(message) },
    ]);
  });
});

test.each([0, 0.5, 2 ** 53])('a count of %d is accepted', async (count) => {
  const { post, stored } = createTestApp();
  expect((await post({ ...validSummary, count })).status).toBe(201);
  expect(stored()[0]?.count).toBe(count);
});

describe.each(statisticNames.slice(1))('%s is refused', (statistic) => {
  test.each([
    ['1.0000001e300', /at most 1e\+?300/],
    ['-1.0000001e300', /at most 1e\+?300/],
    ['1e400', /finite number/],
    ['-1e400', /finite number/],
    ['null', /finite number/],
    ['"1"', /finite number/],
    ['[]', /finite number/],
  ])('of %s', async (json, message) => {
    expect(await errorsOf(jsonWith(statistic, json))).toEqual([
      { path: statistic, message: expect.stringMatching(message) },
    ]);
  });
});

test.each([1e300, -1e300, 5e-324])('statistics of %d are accepted', async (value) => {
  const { post, stored } = createTestApp();
  const statistics = Object.fromEntries(statisticNames.slice(1).map((statistic) => [statistic, value]));
  expect((await post({ ...validSummary, ...statistics })).status).toBe(201);
  expect(stored()[0]).toMatchObject(statistics);
});

describe('a bucket is refused', () => {
  test.each([
    ['over 1 hour ahead', now + 3_601, /more than 1 hour ahead/],
    ['before 1970', -1, /is before 1970/],
    ['before 1970, as text', '1969-12-31T23:59:59Z', /is before 1970/],
    ['that is not a time', 'yesterday', /expected Unix seconds, RFC 3339/],
    ['that is empty', '', /expected Unix seconds/],
    ['without a zone', '2012-12-11T05:12:00', /expected Unix seconds/],
    ['of a day that does not exist', '2012-02-30T05:12:00Z', /expected Unix seconds/],
    ['that is null', null, /^expected Unix seconds/],
    ['that is a list', [1_355_202_720], /^expected Unix seconds/],
  ])('%s', async (_, bucket, message) => {
    expect(await errorsOf({ ...validSummary, bucket })).toEqual([
      { path: 'bucket', message: expect.stringMatching(message) },
    ]);
  });

  test.each(['yesterday', '', 'NaN', '1e12', '0x13b8a3e5680', '-1355202720000', 'Tue Dec 11 2012', '1355202720000000'])(
    'that is no number of seconds, %j: told what is taken, and nothing of milliseconds',
    async (bucket) => {
      const message = 'expected Unix seconds, RFC 3339 such as 2030-01-31T05:12:00Z, or "2030-01-31 05:12:00 UTC"';
      expect(await errorsOf({ ...validSummary, bucket })).toEqual([{ path: 'bucket', message }]);
      expect(await errorsOf({ name: 'a', value: 1, bucket })).toEqual([{ path: 'bucket', message }]);
    },
  );

  test('of 1e400', async () => {
    expect(await errorsOf(jsonWith('bucket', '1e400'))).toEqual([
      { path: 'bucket', message: expect.stringContaining('expected Unix seconds') },
    ]);
  });

  test.each([1_355_202_720_000, '1355202720000'])('in milliseconds (%j), and is told so', async (bucket) => {
    const [error] = await errorsOf({ ...validSummary, bucket });
    expect(error?.message).toContain('looks like milliseconds, in seconds it is 1355202720');
  });

  test('older than AGE_MAX, which RETENTION does not extend', async () => {
    const options = { ageMaxSeconds: 90 * day, retentionSeconds: 400 * day };
    const [error] = await errorsOf({ ...validSummary, bucket: now - 90 * day - 1 }, options);
    expect(error).toEqual({ path: 'bucket', message: 'is older than AGE_MAX (90 days)' });
  });

  test('older than RETENTION keeps', async () => {
    const [error] = await errorsOf({ ...validSummary, bucket: now - 90 * day - 1 }, { retentionSeconds: 90 * day });
    expect(error).toEqual({ path: 'bucket', message: 'is older than RETENTION keeps (90 days)' });
  });
});

test.each([
  ['1 hour ahead', now + 3_600, undefined],
  ['of 1970', 0, undefined],
  ['as old as RETENTION', now - 90 * day, 90 * day],
])('a bucket is accepted %s', async (_, bucket, retentionSeconds) => {
  const { post, stored } = createTestApp({ retentionSeconds });
  expect((await post({ ...validSummary, bucket })).status).toBe(201);
  expect(stored()[0]?.bucket).toBe(bucket);
});

describe('a raw point is refused', () => {
  test('with statistics beside its value, which are named', async () => {
    const [error] = await errorsOf({ ...validSummary, value: 1 });
    expect(error).toEqual({ path: 'value', message: expect.stringContaining(statisticNames.join(', ')) });
    expect(await errorsOf({ name: 'a', value: 1, last: 1 })).toHaveLength(1);
  });

  test.each([
    ['value', '1e301', /at most 1e\+?300/],
    ['value', '1e400', /finite number/],
    ['value', 'null', /finite number/],
    ['value', '"1"', /finite number/],
    ['name', '""', /1 to 255 bytes/],
    ['bucket', 'null', /expected Unix seconds/],
    ['bucket', '-1', /is before 1970/],
  ])('for a %s of %s', async (field, json, message) => {
    const point = { name: 'a', value: 1, bucket: now, [field]: 'PLACEHOLDER' };
    const body = JSON.stringify(point).replace('"PLACEHOLDER"', json);
    expect(await errorsOf(body)).toEqual([{ path: field, message: expect.stringMatching(message) }]);
  });
});
