import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readSketch } from '../../../src/domain/sketch.ts';
import { deliver, logplexFrame } from '../../support/drain.ts';
import { createTestApp } from '../../support/test-app.ts';

interface Options {
  readonly procid?: string;
  readonly time?: string;
  readonly query?: string;
}

/** What comes of one line, by name: count, mean and units, and how many pairs were broken. */
async function resultOf(message: string, { query, ...header }: Options = {}) {
  const service = createTestApp();
  const response = await deliver(service, logplexFrame(message, header), query === undefined ? {} : { query });
  expect(response.status).toBe(200);
  const [received] = service.observations.filter(({ type }) => type === 'logs_received');
  const found = service.stored().map(({ name, count, mean, units }) => [name, count, mean, ...(units ? [units] : [])]);
  return { found, broken: received?.type === 'logs_received' ? received.broken : undefined };
}

describe('a line of a log drain', () => {
  test.each<[string, (string | number)[][]]>([
    ['measure#a=4.25ms', [['a', 1, 4.25, 'ms']]],
    ['measure#a', [['a', 1, 1]]],
    ['measure#a=', [['a', 1, 1]]],
    ['measure.a=4', [['a', 1, 4]]],
    ['sample#size=100GB', [['size', 1, 100, 'GB']]],
    ['count#db.vacuum=2', [['db.vacuum', 1, 2]]],
    ['count#a=1 count#a=2 foo "bar" x=y', [['a', 2, 1.5]]],
    ['source=web.1 sample#m=21.00MB', [['m;source=web.1', 1, 21, 'MB']]],
    ['sample#m=21.00MB source=web.1', [['m;source=web.1', 1, 21, 'MB']]],
    ['source=web.1 measure#a=1 source=web.2', [['a;source=web.1', 1, 1]]],
    ['source= measure#a=1', [['a', 1, 1]]],
    ['measure#a="7 ms"', [['a', 1, 7, 'ms']]],
    ['measure#a=12/s', [['a', 1, 12, '/s']]],
    [
      'measure#a=4 measure#b=5s',
      [
        ['a', 1, 4],
        ['b', 1, 5, 's'],
      ],
    ],
    // What l2met lost.
    [
      'measure#a=-3 measure#b=+5',
      [
        ['a', 1, -3],
        ['b', 1, 5],
      ],
    ],
    ['measure#a=1e3', [['a', 1, 1_000]]],
    ['measure#a=1.5e-3s', [['a', 1, 0.0015, 's']]],
    // As l2met took them.
    ['measure#a=.5', [['a', 1, 0.5]]],
    ['measure#a=4.', [['a', 1, 4]]],
    ['measure#a=5em', [['a', 1, 5, 'em']]],
    ['measure#a="12"', [['a', 1, 12]]],
    ['at=info measure#a.b-c_d/e=4ms', [['a.b-c_d/e', 1, 4, 'ms']]],
    ['[db] measure#a=4ms', [['a', 1, 4, 'ms']]],
    ['- measure#a=4ms', [['a', 1, 4, 'ms']]],
    ['measure#ünï=4ms', [['ünï', 1, 4, 'ms']]],
    [
      'sample#load_avg_1m=0.15 sample#memory_rss=21.22MB sample#pages=10pages',
      [
        ['load_avg_1m', 1, 0.15],
        ['memory_rss', 1, 21.22, 'MB'],
        ['pages', 1, 10, 'pages'],
      ],
    ],
    // Units with exponents, and what a sentence puts behind a value.
    ['measure#a=5m/s2', [['a', 1, 5, 'm/s2']]],
    ['measure#a=5s^-1', [['a', 1, 5, 's^-1']]],
    [
      'took measure#a=5ms, measure#b=7.',
      [
        ['a', 1, 5, 'ms'],
        ['b', 1, 7],
      ],
    ],
    [
      'measure#a=45% measure#b=21°C measure#c="5 req/s"',
      [
        ['a', 1, 45, '%'],
        ['b', 1, 21, '°C'],
        ['c', 1, 5, 'req/s'],
      ],
    ],
    // Durations of several components.
    ['measure#a=1m30.5s', [['a', 1, 90.5, 's']]],
    [
      'measure#a=1h0m0s measure#b=-1m2s measure#c="2d 4h"',
      [
        ['a', 1, 3_600, 's'],
        ['b', 1, -62, 's'],
        ['c', 1, 187_200, 's'],
      ],
    ],
    ['measure#a=5m', [['a', 1, 5, 'm']]],
    // The beginnings that l2met took off, whichever comes first.
    ['measure#measure.a=1', [['a', 1, 1]]],
    ['count#sample#x=1', [['x', 1, 1]]],
    [
      'measure#count#sample#y=1 sample#count#z=1',
      [
        ['y', 1, 1],
        ['count#z', 1, 1],
      ],
    ],
    // Nothing.
    ['', []],
    ['hello world', []],
    ['connect=1ms service=4ms bytes=10', []],
    ['Measure#a=1 xmeasure#a=1 measured#a=1', []],
  ])('that says %j', async (message, expected) => {
    expect(await resultOf(message)).toEqual({ found: expected, broken: 0 });
  });

  test.each<[string, number, (string | number)[][]]>([
    ['measure#=1 measure#a=1', 1, [['a', 1, 1]]],
    ['measure#', 1, []],
    ['measure#a=abc count#b=2', 1, [['b', 1, 2]]],
    ['measure#a=. measure#b=- measure#c=NaN measure#d=Infinity', 4, []],
    ['measure#a=1e301', 1, []],
    ['measure#a=13,434321ms measure#b=0x1f measure#c=10-20 measure#d=1,234,567bytes', 4, []],
    ['measure#a=4.5.6ms measure#b=10.0.0.1 measure#c=10:30 measure#d=1/2 measure#e=1_000', 5, []],
    ['measure#a=4f3c2a measure#b=0b101 measure#c=2012-12-11 measure#d=1m30 measure#e="5ms 6ms"', 5, []],
    [`measure#${'x'.repeat(256)}=1 measure#b=1`, 1, [['b', 1, 1]]],
    [`measure#a=${'1'.repeat(60_000)}x measure#b=1`, 1, [['b', 1, 1]]],
    [`measure#a=${'1'.repeat(66_000)}x measure#b=1`, 1, []],
    ['measure#a=1 measure#b="7 ms', 1, [['a', 1, 1]]],
    ['measure#b="7 ms measure#a=1', 1, [['a', 1, 1]]],
    ['source="web.1 measure#a=1', 0, [['a', 1, 1]]],
  ])('that is broken in part, %.60j: %i', async (message, broken, expected) => {
    expect(await resultOf(message)).toEqual({ found: expected, broken });
  });

  test('has the same percentiles whether its values came in one request or in several', async () => {
    const [together, apart] = [createTestApp(), createTestApp()];
    const values = [10, 100, 30, 70];
    await deliver(together, logplexFrame(values.map((value) => `measure#a=${value}`).join(' ')));
    for (const value of values) await deliver(apart, logplexFrame(`measure#a=${value}`));
    const percentilesIn = async ({ get }: typeof together) => {
      const [series] = (await (await get()).json()) as Record<string, { value: number }[]>[];
      return ['median', 'perc95', 'perc99'].map((statistic) => series?.[statistic]?.[0]?.value ?? Number.NaN);
    };
    expect(await percentilesIn(together)).toEqual([70, 100, 100]);
    for (const [index, value] of (await percentilesIn(apart)).entries()) {
      expect(Math.abs(value / ([70, 100, 100][index] ?? 0) - 1)).toBeLessThan(0.01);
    }
  });

  test('of the router tells its three figures, of another process none', async () => {
    const line = 'at=info method=GET path="/" host=x dyno=web.1 connect=1ms service=4ms status=200 bytes=10';
    const found = [
      ['router.connect', 1, 1, 'ms'],
      ['router.service', 1, 4, 'ms'],
      ['router.bytes', 1, 10],
    ];
    const failed = 'at=error code=H10 connect= service= status=503 bytes="';
    expect(await resultOf(failed, { procid: 'router' })).toEqual({ found: [], broken: 1 });
    expect(await resultOf(line, { procid: 'router' })).toEqual({ found, broken: 0 });
    const { found: prefixed } = await resultOf(line, { procid: 'router', query: '?prefix=app&source-prefix=eu' });
    expect(prefixed.map(([name]) => name)).toEqual([
      'app.router.connect;source=eu',
      'app.router.service;source=eu',
      'app.router.bytes;source=eu',
    ]);
  });

  test.each([
    ['?prefix=app', 'measure#a=1', 'app.a'],
    ['?source-prefix=eu', 'measure#a=1', 'a;source=eu'],
    ['?source-prefix=eu', 'source=web.1 measure#a=1', 'a;source=eu.web.1'],
    ['?prefix=app&source-prefix=eu', 'measure.a=1 source=web.1', 'app.a;source=eu.web.1'],
    ['?prefix=', 'measure#a=1', 'a'],
    ['', 'measure#a=1 source="a;b"', 'a;source=a_b'],
    ['', 'measure#a=1 source=~x', 'a;source=_x'],
  ])('gets its name with %s: %s', async (query, message, name) => {
    const { found } = await resultOf(message, { query });
    expect(found.map(([given]) => given)).toEqual([name]);
  });
});

describe('the summary of the values of a metric in a bucket', () => {
  async function storedOf(...messages: string[]) {
    const service = createTestApp();
    await deliver(service, messages.map((message) => logplexFrame(message)).join(''));
    return service.stored();
  }

  test('has every statistic of a measurement, at the places where l2met took them, and a sketch', async () => {
    const values = Array.from({ length: 200 }, (_, index) => (index * 37) % 200);
    const [summary] = await storedOf(...values.map((value) => `measure#a=${value}ms`));
    expect(summary).toMatchObject({
      count: 200,
      mean: 99.5,
      median: 100,
      min: 0,
      max: 199,
      perc95: 190,
      perc99: 198,
      last: values.at(-1),
    });
    expect(readSketch(summary?.sketch ?? new Uint8Array())).toMatchObject({ summaries: 1, values: 200 });
  });

  test('of a sample has its last, of counters and samples no sketch', async () => {
    const [sample, counter] = await storedOf('sample#a=3', 'sample#a=9 count#b=1', 'sample#a=5');
    expect(sample).toMatchObject({ count: 3, min: 3, max: 9, last: 5 });
    expect(counter).toMatchObject({ name: 'b', count: 1, mean: 1 });
    expect([sample?.sketch, counter?.sketch]).toEqual([undefined, undefined]);
  });

  test('of a counter gives its sum back, as mean × count: exactly, or to 15 digits where no double is such a mean', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 60 }),
        async (counts) => {
          const [summary] = await storedOf(counts.map((count) => `count#a=${count}`).join(' '));
          const sum = counts.reduce((total, count) => total + count, 0);
          const { mean = 0, count = 0 } = summary ?? {};
          expect(Number((mean * count).toPrecision(15))).toBe(sum);
          const ulp = Math.abs(mean) * Number.EPSILON;
          const isPossible = [-1, -0.5, 0, 0.5, 1].some((step) => (sum / count + step * ulp) * count === sum);
          expect(mean * count === sum).toBe(isPossible);
        },
      ),
    );
  });

  test('keeps what is of another kind apart', async () => {
    const stored = await storedOf('measure#a=1 sample#a=2 count#a=3');
    expect(stored.map(({ name, mean }) => [name, mean])).toEqual([
      ['a', 1],
      ['a', 2],
      ['a', 3],
    ]);
    expect(new Set(stored.map(({ id }) => id)).size).toBe(3);
  });
});
