import { describe, expect, test } from 'vitest';
import { createTestApp, now, problemOf, validSummary } from '../support/test-app.ts';

/** A summary as JSON text with one field replaced by raw JSON, which may hold what no JavaScript value does. */
const jsonWith = (field: string, json: string) =>
  JSON.stringify({ ...validSummary, [field]: 'PLACEHOLDER' }).replace('"PLACEHOLDER"', () => json);

/** What is sent alone, in an array, and as a line: whichever way it comes, the same is said of it. */
const ways = (json: string): [body: string, headers: Record<string, string>][] => [
  [json, {}],
  [`[${json}]`, {}],
  [json, { 'Content-Type': 'application/x-ndjson' }],
];

describe('a summary is refused, whichever way it comes, with', () => {
  test.each<[what: string, field: string, json: string, message: RegExp]>([
    ['a number beyond double precision', 'mean', '1e400', /expected|magnitude/],
    ['one below', 'mean', '-1e400', /expected|magnitude/],
    ['the largest double', 'last', '1.7976931348623157e308', /magnitude must be at most/],
    ['a count of 2^53 + 2', 'count', '9007199254740994', /at most 2\^53/],
    ['a count below zero', 'count', '-1e-300', /at least 0/],
    ['a number in quotes', 'min', '"1"', /expected a finite number/],
    ['true for a number', 'max', 'true', /expected a finite number/],
    ['null for a number', 'perc95', 'null', /expected a finite number/],
    ['a list for a number', 'perc99', '[1]', /expected a finite number/],
    ['milliseconds as seconds', 'bucket', `${now}000`, /looks like milliseconds, in seconds it is 1355202750/],
    ['milliseconds as seconds, quoted', 'bucket', `"${now}000"`, /looks like milliseconds/],
    ['microseconds as seconds', 'bucket', `${now}000000`, /ahead|expected/],
    ['the year 300000', 'bucket', '"300000-01-01T00:00:00Z"', /expected Unix seconds/],
    ['the year 300000 in seconds', 'bucket', '9404640000000', /ahead/],
    ['the year +012012', 'bucket', '"+012012-12-11T05:12:00Z"', /expected Unix seconds/],
    ['a time before 1970', 'bucket', '-1355202720', /before 1970/],
    ['the 30th of February', 'bucket', '"2012-02-30T00:00:00Z"', /expected Unix seconds/],
    ['seconds in Arabic digits', 'bucket', '"١٣٥٥٢٠٢٧٢٠"', /expected Unix seconds/],
    ['seconds in hexadecimal', 'bucket', '"0x50c6bf20"', /expected Unix seconds/],
    ['seconds as 1e400', 'bucket', '1e400', /expected/],
    ['a name with NUL', 'name', '"a\\u0000b"', /control characters/],
    ['a name of NUL alone', 'name', '"\\u0000"', /control characters/],
    ['a name with a line feed', 'name', '"a\\nb"', /control characters/],
    ['a name with DEL', 'name', '"a\\u007fb"', /control characters/],
    ['a name with NEL, a control of Latin-1', 'name', '"a\\u0085b"', /control characters/],
    ['a name with the last control', 'name', '"a\\u009fb"', /control characters/],
    ['a name with a line separator', 'name', '"a\\u2028b"', /line separators/],
    ['a name with a paragraph separator', 'name', '"a\\u2029b"', /line separators/],
    ...['061c', '200e', '200f', '202a', '202b', '202c', '202d', '202e', '2066', '2067', '2068', '2069'].map(
      (code): [string, string, string, RegExp] => [
        `a name with U+${code}, which changes the direction`,
        'name',
        `"requests.\\u${code}kcehc"`,
        /direction of writing/,
      ],
    ),
    ['units with an override of the direction', 'units', '"\\u202es/m"', /direction of writing/],
    ['units with a line separator', 'units', '"m\\u2028s"', /without control characters/],
    ['a name with half a pair', 'name', '"a\\ud800"', /lone surrogates/],
    ['a name with the other half', 'name', '"\\udc00a"', /lone surrogates/],
    ['a name of two halves in the wrong order', 'name', '"\\udc00\\ud800"', /lone surrogates/],
    ['a name of 256 bytes in 128 characters', 'name', `"${'ü'.repeat(128)}"`, /1 to 255 bytes/],
    ['a name of a million characters', 'name', `"${'a'.repeat(60_000)}"`, /1 to 255 bytes/],
    ['an object for a name', 'name', '{"toString":1}', /expected a string/],
  ])('%s', async (_, field, json, message) => {
    for (const [body, headers] of ways(jsonWith(field, json))) {
      const { post, memory } = createTestApp();
      const response = await post(body, headers);
      expect(response.status).toBe(422);
      const [error, ...more] = (await problemOf(response)).errors ?? [];
      expect(error?.path.replace(/^0\./, '')).toBe(field);
      expect(error?.message).toMatch(message);
      expect(more).toEqual([]);
      expect(memory.calls.write).toBe(0);
    }
  });
});

describe('a summary is taken for what it says, whichever way it comes, with', () => {
  test.each<[what: string, field: string, json: string, stored: unknown]>([
    // No double lies between: to the parser it is 2^53.
    ['a count of 2^53 + 1', 'count', '9007199254740993', 2 ** 53],
    ['a number too small for double precision', 'mean', '1e-400', 0],
    ['a number of a thousand digits', 'mean', `0.${'3'.repeat(1_000)}`, 1 / 3],
    ['a name that SQL could take for its own', 'name', '"\'; drop table summaries; --"', "'; drop table summaries; --"],
    ['a name that is special to JavaScript', 'name', '"__proto__"', '__proto__'],
    ['a name that is written from right to left', 'name', '"שלום.عدد"', 'שלום.عدد'],
    ['a name with a joiner and a non-joiner', 'name', '"می\u200cخواهم.क्\u200dष"', 'می\u200cخواهم.क्\u200dष'],
    [
      'a name with an emoji that is joined',
      'name',
      '"\u{1f469}\u200d\u{1f4bb}\u{1f3f4}\u{e0067}\u{e007f}"',
      '\u{1f469}\u200d\u{1f4bb}\u{1f3f4}\u{e0067}\u{e007f}',
    ],
    ['units in another script', 'units', '"мс"', 'мс'],
    ['a name of a noncharacter', 'name', '"\\uffff"', '\uffff'],
    ['a field twice, of which the last counts', 'last', '1,"last":2', 2],
    ['a prototype of its own', 'last', '2,"__proto__":{"mean":7},"constructor":{"prototype":{}}', 2],
  ])('%s', async (_, field, json, expected) => {
    for (const [body, headers] of ways(jsonWith(field, json))) {
      const { post, stored } = createTestApp();
      expect((await post(body, headers)).status).toBe(201);
      expect(stored()).toEqual([{ ...validSummary, id: expect.any(String), [field]: expected }]);
    }
    expect(({} as { mean?: number }).mean).toBeUndefined();
  });
});

describe('a read is refused with', () => {
  test.each<[what: string, query: string, path: string, message: RegExp]>([
    ['a pattern with NUL', 'name=a%00', 'name', /without NUL/],
    ['a pattern of 257 bytes', `name=${'a'.repeat(257)}`, 'name', /longer than 256 bytes/],
    ['a pattern of 258 bytes in 129 characters', `name=${'%C3%BC'.repeat(129)}`, 'name', /longer than 256 bytes/],
    ['a back-reference', 'name=(a%2B)%2B%5C1', 'name', /back-references/],
    ['milliseconds as seconds', `from=${now}000`, 'from', /looks like milliseconds/],
    ['the year 300000', 'to=300000-01-01T00:00:00Z', 'to', /expected/],
    ['the year 300000 in seconds', 'to=9404640000000', 'to', /expected/],
    ['an hour that never ends', 'from=-999999999999h', 'from', /expected/],
    ['a zone that is a path', 'timezone=..%2F..%2Fetc%2Fpasswd', 'timezone', /IANA name/],
    ['a resolution of nothing', 'resolution=0m', 'resolution', /expected/],
    ['more buckets than an answer may have', 'from=0&resolution=s', 'resolution', /coarser|at most/],
  ])('%s', async (_, query, path, message) => {
    const { app, memory } = createTestApp();
    const response = await app.request(`/metrics?${query}`);
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toContainEqual({ path, message: expect.stringMatching(message) });
    expect(memory.calls.read).toBe(0);
  });
});
