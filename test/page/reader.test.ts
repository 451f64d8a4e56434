import { describe, expect, test } from 'vitest';
import { compareNames, cutsOf } from '../../src/page/metric-titles.js';
import { initialState } from '../../src/page/page-state.js';
import { createReader } from '../../src/page/reader.js';

describe('names as titles', () => {
  const titlesOf = (names: readonly string[]) => {
    const cutOf = cutsOf(names);
    return names.map((name) => [name.slice(0, cutOf(name)), name.slice(cutOf(name))]);
  };

  test('keep what differs, from the beginning of a word or tag', () => {
    expect(titlesOf(['web.latency;dc=eu;host=web.1', 'web.latency;dc=eu;host=web.10'])).toEqual([
      ['web.latency;dc=eu;', 'host=web.1'],
      ['web.latency;dc=eu;', 'host=web.10'],
    ]);
    expect(titlesOf(['fleet.host1', 'fleet.host2'])).toEqual([
      ['fleet.', 'host1'],
      ['fleet.', 'host2'],
    ]);
    expect(titlesOf(['db.size', 'web.size'])).toEqual([
      ['', 'db.size'],
      ['', 'web.size'],
    ]);
    // One alone is cut in the middle.
    const [[head = '', tail = ''] = []] = titlesOf(['a.very.long.name.of.one.metric.that.has.no.room']);
    expect([head.length > 10, tail.length]).toEqual([true, 23]);
  });

  test('are in the order in which people count', () => {
    expect(['web.10', 'web.2', 'web.1', 'Web.1', 'db'].toSorted(compareNames)).toEqual([
      'db',
      'web.1',
      'Web.1',
      'web.2',
      'web.10',
    ]);
  });
});

describe('what is read', () => {
  const state = {
    ...initialState,
    match: 'web',
    from: '2026-11-01T00:00:00Z',
    to: '2026-11-08T00:00:00Z',
    resolution: 'day',
  };
  const metric = { name: 'web', units: null, first: 1.7934912e9, last: 1.794e9 };

  /** A service whose answers are complete or not, in this order. */
  function serviceOf(...complete: boolean[]) {
    const asked: string[] = [];
    const get = async (path: string, query?: URLSearchParams) => {
      asked.push(`${path}?${query}`);
      const isComplete = complete.shift() ?? true;
      const outcomes = [{ database: 'db1', outcome: isComplete ? 'ok' : 'timeout' }];
      const body =
        path === 'metrics/names'
          ? [metric]
          : [{ ...metric, count: [], mean: [], median: [], min: [], max: [], perc95: [], perc99: [], last: [] }];
      return { response: new Response(JSON.stringify(body)), completeness: { complete: isComplete, outcomes } };
    };
    return { asked, service: { get, now: () => 1.7945e9, hasToken: () => false, forgetToken: () => undefined } };
  }

  test('says of an answer whether that one is complete, and not what was said of an earlier one', async () => {
    const { service } = serviceOf(false, true, true, true, false);
    const reader = createReader(service, () => 800);
    const completeness = async () => (await reader.read(state, new AbortController().signal)).completeness.complete;
    // Names and values; then both again, since the names were incomplete; then the values alone.
    expect([await completeness(), await completeness(), await completeness(), await completeness()]).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  test('does not reach into the bucket that begins where the range ends', async () => {
    const { service, asked } = serviceOf();
    await createReader(service, () => 800).read(state, new AbortController().signal);
    expect(asked.at(-1)).toContain(`to=${Date.parse(state.to) / 1000 - 0.001}`);
  });
});
