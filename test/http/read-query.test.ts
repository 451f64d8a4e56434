import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createTestApp, now, problemOf } from '../support/test-app.ts';

const { get, memory } = createTestApp();

describe('a parameter is accepted', () => {
  test.each<[string, string[]]>([
    ['name', ['', 'foo', '^foo\\.', 'a|b', '\\d+', '(a)', '\\\\1', 'ü', 'a'.repeat(256)]],
    ['from', ['-90s', '-15m', '-1h', '-7d', '1355202720', '1355202720.5', '2012-12-11T05:12:00Z']],
    ['from', ['2012-12-11T06:12:00+01:00', '2012-12-11 05:12:00 UTC', '2012-12-11 05:12:00 +0000', 'now']],
    // A `+` that was not escaped arrives as a space.
    ['from', ['2012-12-11T06:12:00 01:00', '2012-12-11T06:12:00 0100']],
    ['to', ['now', '-0s', '1355202750', '2012-12-11T05:12:30Z', '2012-12-12T00:00:00Z']],
    ['resolution', ['second', 's', '1s', '90s', 'minute', 'm', '1m', '15m', 'hour', 'h', '6h']],
    ['resolution', ['day', 'd', '2d', 'week', 'w', '2w', 'month', 'mo', '1mo', 'year', 'y', '1y']],
    [
      'timezone',
      ['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Europe/Kiev', 'Etc/GMT+5', 'Asia/Kolkata'],
    ],
    ['partial', ['allow', 'refuse']],
    ['accuracy', ['true', 'false']],
  ])('%s: %j', async (parameter, values) => {
    for (const value of values) {
      const response = await get({ [parameter]: value });
      expect([value, response.status]).toEqual([value, 200]);
    }
  });

  test('resolution=m is a minute, not a month', async () => {
    const { post, get: getHere } = createTestApp();
    await post({ name: 'a', value: 1 });
    const [metric] = (await (await getHere({ resolution: 'm' })).json()) as { count: { bucket: number }[] }[];
    expect(metric?.count[0]?.bucket).toBe(Math.floor(now / 60) * 60);
  });
});

describe('a parameter is refused, with what would be right', () => {
  const times = /expected Unix seconds, RFC 3339 such as .*, now, or relative: -90s -15m -1h -7d -2w/;
  const resolutions = /expected second, minute, hour, day, week, month, year/;

  test.each<[string, string[], RegExp]>([
    ['name', ['a'.repeat(257), 'ü'.repeat(129)], /longer than 256 bytes/],
    ['name', ['(a)\\1', '\\9', '\\\\\\1'], /back-references such as \\1/],
    ['name', ['a\0b'], /without NUL/],
    ['name', ['(', '[a', '*'], /not a regular expression/],
    ['from', ['', 'yesterday', '-1', '-1x', '1h', '-1.5h', '- 1h', '2012-12-11', '2012-12-11T05:12:00'], times],
    ['from', ['-99999999w', '-1355202720', '1e9', 'Infinity', 'NaN', '2012-02-30T00:00:00Z'], times],
    ['from', ['1355202720000'], /looks like milliseconds, in seconds it is 1355202720/],
    ['to', ['', 'tomorrow', '+1h', '999999999999'], times],
    ['resolution', ['', '0m', '-1m', 'minutes', 'M', '1.5h', '2mo', '2y', '1 m', '4000d', 'constructor'], resolutions],
    ['timezone', ['', 'Mars/Olympus', '+01:00', 'UTC; drop', '../etc/passwd'], /IANA name such as Europe\/Berlin/],
    ['partial', ['', 'yes', 'true', 'REFUSE'], /expected allow or refuse/],
    ['accuracy', ['', '1', 'yes', 'TRUE'], /expected true or false/],
  ])('%s: %j', async (parameter, values, message) => {
    for (const value of values) {
      const response = await get({ [parameter]: value });
      expect([value, response.status]).toEqual([value, 422]);
      expect((await problemOf(response)).errors).toEqual([
        { path: parameter, message: expect.stringMatching(message) },
      ]);
    }
  });

  test('and every one that is wrong is named at once', async () => {
    const response = await get({ from: 'x', to: 'x', resolution: 'x', timezone: 'x', partial: 'x' });
    const paths = (await problemOf(response)).errors?.map(({ path }) => path);
    expect(paths).toEqual(['from', 'to', 'resolution', 'timezone', 'partial']);
  });

  test('and touches no database', async () => {
    const before = memory.calls.read;
    await get({ from: 'x' });
    await get({ from: 'now', to: '-1h' });
    await get({ from: '-1d', resolution: 's' });
    expect(memory.calls.read).toBe(before);
  });

  test.each([
    ['/metrics', 'until', 'name, from, to, resolution, timezone, perc, accuracy, partial, format'],
    ['/metrics', 'Name', 'name, from, to, resolution, timezone, perc, accuracy, partial, format'],
    ['/metrics', '__proto__', 'name, from, to, resolution, timezone, perc, accuracy, partial, format'],
    ['/metrics', 'constructor', 'name, from, to, resolution, timezone, perc, accuracy, partial, format'],
    ['/metrics/names', 'name', 'match, limit'],
    ['/metrics/names', 'from', 'match, limit'],
  ])('%s: %j is unknown, and those that are known are named', async (path, parameter, known) => {
    const { app, memory: untouched } = createTestApp();
    const response = await app.request(`${path}?${parameter}=now`);
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toEqual([
      { path: parameter, message: `unknown parameter; known are ${known}` },
    ]);
    expect(untouched.calls.read).toBe(0);
  });

  test('each that is unknown, beside others that are wrong', async () => {
    const response = await get({ from: 'x', until: 'now', step: '60' });
    expect((await problemOf(response)).errors?.map(({ path }) => path).toSorted()).toEqual(['from', 'step', 'until']);
  });

  test('when it is given twice', async () => {
    const { app } = createTestApp();
    expect((await app.request('/metrics?from=-1h&from=-2h')).status).toBe(422);
  });
});

describe('the range of a read', () => {
  test('may be one instant', async () => {
    expect((await get({ from: '1355202720', to: '1355202720' })).status).toBe(200);
  });

  test('is refused when it ends before it begins', async () => {
    const response = await get({ from: '1355202721', to: '1355202720' });
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toEqual([{ path: 'from', message: 'is later than to' }]);
  });

  test('may have 11,000 buckets and no more', async () => {
    const to = `${now}`;
    expect((await get({ from: `${now - 10_999}`, to, resolution: 'second' })).status).toBe(200);
    const response = await get({ from: `${now - 11_000}`, to, resolution: 'second' });
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toEqual([
      {
        path: 'resolution',
        message: 'gives 11001 buckets, at most 11000 are answered; try 10s, or a shorter range',
      },
    ]);
  });

  test('that is too long is answered with a coarser resolution that then works', async () => {
    const instant = fc.integer({ min: 0, max: 253_402_300_799 }).map(String);
    const resolution = fc.constantFrom('s', '7s', 'm', '15m', 'h', '11h', 'd', 'w', '3w', 'mo', 'y');
    let suggestions = 0;
    await fc.assert(
      fc.asyncProperty(fc.tuple(instant, instant), resolution, async (ends, tooFine) => {
        const [from = '', to = ''] = ends.toSorted((a, b) => Number(a) - Number(b));
        const response = await get({ from, to, resolution: tooFine });
        if (response.status === 200) return;
        const { errors } = await problemOf(response);
        const [, coarser = ''] = /try (\w+), or a shorter range$/.exec(errors?.[0]?.message ?? '') ?? [];
        expect((await get({ from, to, resolution: coarser })).status).toBe(200);
        suggestions += 1;
      }),
    );
    expect(suggestions).toBeGreaterThan(10);
  });
});
