import fc from 'fast-check';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { namePatternProblem } from '../../src/domain/name-pattern.ts';
import { type StatisticName, statisticNames } from '../../src/domain/summary.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { freshDatabase, freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { createTestApp, now } from '../support/test-app.ts';

/** The service on a database of PostgreSQL. */
async function serveDatabase(settings: readonly string[] = []) {
  const url = await freshDatabaseUrl();
  for (const setting of settings) await runSql(url, `alter database ${url.pathname.slice(1)} set ${setting}`);
  const database = await freshDatabase({ url });
  return { url, ...createTestApp({ store: createPostgresStore({ database, observe: () => undefined }) }) };
}

/** Text that somebody could take for SQL, for the end of a string, for a format or for an escape; and any other. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 90 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ maxLength: 300 }),
  fc
    .array(
      fc.constantFrom(
        "'",
        '"',
        '\\',
        ';',
        '--',
        '/*',
        '$1',
        '$$',
        '%s',
        '{}',
        ',',
        'NULL',
        '\ud800',
        '\udfff',
        '\u00a0',
        '\u2028',
        ' x',
      ),
      { minLength: 1, maxLength: 20 },
    )
    .map((pieces) => pieces.join('')),
  fc.constantFrom(
    'é',
    'e\u0301',
    '\u212b',
    '\u00c5',
    '\ufeff',
    '\u200b',
    '\ufffd',
    '\u{10ffff}',
    '\ufffe',
    'ﬀ',
    'İ',
    '𝒳',
    "'; drop table series; --",
  ),
);

/** Any double that m2pg takes, the odd ones most often. */
const anyNumber = fc.oneof(
  fc.double({ noNaN: true, min: -1e300, max: 1e300 }),
  fc.constantFrom(
    0,
    -0,
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    1e300,
    -1e300,
    0.1 + 0.2,
    2 ** 53,
    2 ** 53 - 1,
    1 / 3,
  ),
);

const anyStatistics = fc.record(Object.fromEntries(statisticNames.map((name) => [name, anyNumber]))) as fc.Arbitrary<
  Record<StatisticName, number>
>;

const hexOf = (number: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(number);
  return bytes.toString('hex');
};

test('any text is a name that comes back byte for byte, or is refused; every statistic bit for bit', async () => {
  const { url, app, post } = await serveDatabase();
  const accepted: { name: string; bucket: number; statistics: Record<StatisticName, number> }[] = [];
  const refused: string[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(anyText, anyStatistics), { minLength: 1, maxLength: 6 }), async (given) => {
      for (const [name, { count, ...rest }] of given) {
        const statistics = { ...rest, count: Math.min(Math.abs(count), 2 ** 53) } as Record<StatisticName, number>;
        // One second each, so that no two are merged, however alike their names look.
        const bucket = now - 3_000 + accepted.length;
        // JSON.stringify has no minus zero.
        const numbers = statisticNames.map(
          (key) => `"${key}":${Object.is(statistics[key], -0) ? '-0' : statistics[key]}`,
        );
        const { status } = await post(`{"name":${JSON.stringify(name)},"bucket":${bucket},${numbers.join(',')}}`);
        expect([201, 422]).toContain(status);
        if (status === 201) accepted.push({ name, bucket, statistics });
        else refused.push(name);
      }
    }),
    { numRuns: 150 },
  );
  expect(accepted.length).toBeGreaterThan(200);
  // Nothing but what the documents say is refused.
  const isName = /^[^\p{Cc}\p{Cs}\u2028\u2029\p{Bidi_C}]+$/u;
  expect(refused.filter((name) => isName.test(name) && Buffer.byteLength(name) <= 255)).toEqual([]);

  const stored = await runSql(
    url,
    `select encode(convert_to(name, 'UTF8'), 'hex') as name, date_part('epoch', bucket) as bucket,
       ${statisticNames.map((name) => `encode(float8send(${name}), 'hex') as ${name}`).join(', ')}
     from summaries join series on series.id = series_id order by bucket`,
  );
  expect(stored).toEqual(
    accepted.map(({ name, bucket, statistics }) => ({
      name: Buffer.from(name).toString('hex'),
      bucket,
      ...Object.fromEntries(statisticNames.map((key) => [key, hexOf(statistics[key])])),
    })),
  );

  const answer = await app.request(`/metrics?from=${now - 3_000}&to=${now}&resolution=second`);
  const series = (await answer.json()) as ({ name: string } & Record<
    StatisticName,
    { bucket: number; value: number }[]
  >)[];
  const read = series.flatMap(({ name, ...columns }) =>
    columns.count.map(({ bucket }, index) => {
      const values = statisticNames.map((key) => [key, columns[key][index]?.value]);
      return { name, bucket, statistics: Object.fromEntries(values) };
    }),
  );
  // Minus zero is printed as zero, which it equals.
  const plain = (numbers: Record<StatisticName, number>) =>
    Object.fromEntries(statisticNames.map((key) => [key, numbers[key] + 0]));
  expect(read.toSorted((a, b) => a.bucket - b.bucket)).toEqual(
    accepted.map(({ name, bucket, statistics }) => ({ name, bucket, statistics: plain(statistics) })),
  );
  const tables = await runSql(
    url,
    `select to_regclass('series') is not null and to_regclass('summaries') is not null as whole`,
  );
  expect(tables).toEqual([{ whole: true }]);
});

/** What patterns are made of, right and wrong, with what only PostgreSQL's have. */
const anyPattern = fc.oneof(
  fc
    .array(
      fc.constantFrom(
        ...[
          'a',
          'b',
          'web',
          '.',
          '\\.',
          '^',
          '$',
          '*',
          '+',
          '?',
          '*?',
          '(',
          ')',
          '(?:',
          '(?=',
          '(?!',
          '(?<=',
          '|',
          '[',
          ']',
          '[^',
        ],
        ...[
          '-',
          'a-z',
          '{2}',
          '{1,}',
          '{,3}',
          '{0,255}',
          '{256}',
          '\\d',
          '\\w',
          '\\W',
          '\\s',
          '\\m',
          '\\M',
          '\\y',
          '\\A',
          '\\Z',
        ],
        ...[
          '[[:alpha:]]',
          '[[:<:]]',
          '[[.a.]]',
          '[[=a=]]',
          '(?i)',
          '(?x)',
          '(?q)',
          '***=',
          '***:',
          '***',
          '\\1',
          '\\x41',
          '\\u00fc',
        ],
        ...[
          '\\c\\',
          '\\\\',
          '\\',
          '\\0',
          'ü',
          'Ü',
          '😀',
          '%',
          '_',
          "'",
          '"',
          ' ',
          '\n',
          '#',
          '/',
          '&',
          '=',
          ';',
          '\u{10ffff}',
        ],
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map((pieces) => pieces.join('')),
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 6 }),
);

test.each([
  ['in order', []],
  ['by trigrams', ['enable_seqscan = off']],
])('any pattern finds what the ~ of PostgreSQL finds when names are read %s, or is refused', async (_, settings) => {
  const { url, app, post } = await serveDatabase(settings);
  const names = [
    'a',
    'ab',
    'abc',
    'web.requests',
    'app.web.1',
    'Über',
    'über.web',
    'a b',
    "it's",
    '100%',
    'a_b',
    'x.y-z',
    '[a]',
    '😀.a',
    'ÜBER',
    'a\\b',
    'aaa.bbb',
  ];
  expect((await post(names.map((name) => ({ name, bucket: now, value: 1 })))).status).toBe(201);
  const client = new Client({ connectionString: url.href });
  await client.connect();
  onTestFinished(() => client.end());
  // Not the column itself, whose indexes the other side may use.
  const text = "select name from series where name || '' ~ $1 order by name";
  const seen = { found: 0, none: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(anyPattern, async (pattern) => {
      const response = await app.request(`/metrics?name=${encodeURIComponent(pattern.toWellFormed())}`);
      const answer = await response.json();
      const expected = await client.query(text, [pattern.toWellFormed()]).then(
        ({ rows }) => rows.map(({ name }) => name),
        (error) => error.code,
      );
      if (response.status === 422) {
        seen.refused += 1;
        const isOurs = namePatternProblem(pattern.toWellFormed()) !== undefined;
        expect({ pattern, expected, isOurs }).toEqual({ pattern, expected: isOurs ? expected : '2201B', isOurs });
        return;
      }
      const found = (answer as { name: string }[]).map(({ name }) => name);
      expect({ pattern, status: response.status, found }).toEqual({ pattern, status: 200, found: expected });
      seen[found.length > 0 ? 'found' : 'none'] += 1;
    }),
    { numRuns: 500 },
  );
  // Each of them often.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
});
