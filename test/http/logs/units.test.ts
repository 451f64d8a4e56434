import { describe, expect, test } from 'vitest';
import { deliver, logplexFrame } from '../../support/drain.ts';
import { createTestApp } from '../../support/test-app.ts';

describe('the units of a series', () => {
  /** Delivers lines one after another; what is stored then, mean and units of each summary, and how many values were refused. */
  async function resultOfAll(...bodies: string[][]) {
    const service = createTestApp();
    for (const messages of bodies) await deliver(service, messages.map((message) => logplexFrame(message)).join(''));
    const broken = service.observations.map((one) => (one.type === 'logs_received' ? one.broken : 0));
    return {
      found: service.stored().map(({ count, mean, units }) => [count, Number(mean.toPrecision(12)), units]),
      broken: broken.reduce((sum, one) => sum + one, 0),
    };
  }

  test.each<[string, string[], [number, number, string | undefined]]>([
    [
      'times',
      ['measure#t=350.2µs', 'measure#t=12.5ms', 'measure#t=1.001s', 'measure#t=1m30.5s'],
      [4, 22_878_462.55, 'µs'],
    ],
    ['minutes beside seconds', ['measure#t=30s', 'measure#t=2m'], [2, 75, 's']],
    ['both micro signs', ['measure#t=1\u00b5s', 'measure#t=3\u03bcs measure#t=2us'], [3, 2, '\u00b5s']],
    ['bytes', ['sample#t=1GB', 'sample#t=500MB', 'sample#t=1500000kB'], [3, 1, 'GB']],
    ['bytes by powers of two', ['sample#t=1GiB', 'sample#t=512MiB'], [2, 0.75, 'GiB']],
    ['rates', ['measure#t=1MB/s', 'measure#t=60000kB/min'], [2, 1, 'MB/s']],
    ['values without units', ['measure#t=4', 'measure#t=6ms'], [2, 5, 'ms']],
  ])('hold for all values: %s are converted', async (_, messages, expected) => {
    expect(await resultOfAll(messages)).toEqual({ found: [expected], broken: 0 });
  });

  test('stay those of the series from one request to the next', async () => {
    const found = [
      [1, 4, 'ms'],
      [1, 5_000, 'ms'],
      [1, 0.25, 'ms'],
      [1, 90_500, 'ms'],
      [1, 7, undefined],
    ];
    const bodies = [['measure#t=4ms'], ['measure#t=5s'], ['measure#t=250µs'], ['measure#t=1m30.5s'], ['measure#t=7']];
    expect(await resultOfAll(...bodies)).toEqual({ found, broken: 0 });
  });

  test('keep out values that do not convert, which are counted, and not their neighbours', async () => {
    const bodies = [['measure#t=4ms measure#t=5MB'], ['measure#t=7apples'], ['measure#t=9ms measure#t=1ms/s']];
    expect(await resultOfAll(...bodies)).toEqual({
      found: [
        [1, 4, 'ms'],
        [1, 9, 'ms'],
      ],
      broken: 3,
    });
  });

  test('need no database to answer: the values are stored as they are', async () => {
    const service = createTestApp();
    service.memory.units = () => Promise.reject(new Error('away'));
    await deliver(service, logplexFrame('measure#t=4ms measure#t=1s'));
    expect(service.stored()).toMatchObject([{ count: 2, mean: 502, units: 'ms' }]);
  });
});
