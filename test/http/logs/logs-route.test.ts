import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../../src/domain/failure.ts';
import { deliver, logplexFrame, shuttleFrame } from '../../support/drain.ts';
import { createTestApp, now, problemOf } from '../../support/test-app.ts';

const uuidV8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const at = (time: string, message: string) => logplexFrame(message, { time });

/** What logplex sends with each batch. */
const frameHeaders = { 'Logplex-Frame-Id': '3d34ee7db812-17', 'Logplex-Msg-Count': '2' };

describe('POST /logs', () => {
  test('answers 200 with an empty body once what it holds is committed', async () => {
    const service = createTestApp();
    const response = await deliver(service, at('2012-12-11T05:12:10+00:00', 'measure#a=4ms'));
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(service.stored()).toMatchObject([{ name: 'a', bucket: 1_355_202_720, count: 1, mean: 4, units: 'ms' }]);
    expect(service.memory.calls.write).toBe(1);
  });

  test('answers 200 to what holds nothing, and asks no database', async () => {
    const service = createTestApp();
    service.memory.failure = new Error('asked');
    for (const body of ['', logplexFrame('hello'), 'garbage']) expect((await deliver(service, body)).status).toBe(200);
  });

  test('takes gzip and chunked bodies, as log-shuttle sends them', async () => {
    const service = createTestApp();
    const zipped = gzipSync(shuttleFrame('measure#a=1'));
    expect((await deliver(service, zipped, { headers: { 'Content-Encoding': 'gzip' } })).status).toBe(200);
    const body = new Blob([shuttleFrame('measure#b=2')]).stream();
    await service.app.request('/logs', { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect(service.stored().map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('refuses a request of more metrics than one write may have, and lets others have their turn meanwhile', async () => {
    const service = createTestApp();
    const bodyOf = (lines: number) =>
      Array.from({ length: lines }, (_, line) =>
        logplexFrame(Array.from({ length: 100 }, (_, index) => `measure#m${line}.${index}=1`).join(' ')),
      ).join('');
    let turns = 0;
    const others = setInterval(() => {
      turns += 1;
    }, 0);
    expect((await deliver(service, bodyOf(100))).status).toBe(200);
    clearInterval(others);
    expect(service.stored()).toHaveLength(10_000);
    expect(service.memory.calls.write).toBe(1);
    expect(turns).toBeGreaterThan(5);
    const refused = await deliver(service, bodyOf(101));
    expect(refused.status).toBe(413);
    expect(await problemOf(refused)).toMatchObject({ detail: expect.stringContaining('send it in parts') });
    expect(service.memory.calls.write).toBe(1);
  });

  test('makes one summary of each metric and bucket, of the resolution that the drain asks for', async () => {
    const body = [
      at('2012-12-11T05:11:59+00:00', 'measure#a=1'),
      at('2012-12-11T05:12:00+00:00', 'measure#a=2'),
      at('2012-12-11T05:12:09.5+00:00', 'measure#a=3'),
      at('2012-12-11T05:12:10+00:00', 'measure#a=4'),
    ].join('');
    const bucketsWith = async (query: string) => {
      const service = createTestApp();
      await deliver(service, body, { query });
      return service.stored().map(({ bucket, count }) => [bucket - 1_355_202_660, count]);
    };
    expect(await bucketsWith('')).toEqual([
      [0, 1],
      [60, 3],
    ]);
    expect(await bucketsWith('?resolution=10')).toEqual([
      [50, 1],
      [60, 2],
      [70, 1],
    ]);
    expect(await bucketsWith('?resolution=3600')).toEqual([[-660, 4]]);
  });

  test.each(['0', '-1', '1.5', 'x', '', '86401', '1e3'])(
    'refuses resolution=%s, which l2met crashed of or passed over',
    async (text) => {
      const response = await deliver(createTestApp(), logplexFrame('measure#a=1'), { query: `?resolution=${text}` });
      expect(response.status).toBe(422);
      expect((await problemOf(response)).errors).toMatchObject([{ path: 'resolution' }]);
    },
  );

  test.each([
    ['no time', '-'],
    ['garbage', 'yesterday'],
    ['the time of a clock that was never set', '1970-01-01T00:00:10+00:00'],
    ['a time that is far ahead', '2112-12-11T05:12:10+00:00'],
  ])('takes a line with %s as of now', async (_, time) => {
    const service = createTestApp();
    await deliver(service, at(time, 'measure#a=1'));
    expect(service.stored()).toMatchObject([{ bucket: Math.floor(now / 60) * 60 }]);
  });

  test('takes late data, which l2met dropped, but for what is past the retention', async () => {
    const late = at('2003-01-01T00:00:00Z', 'measure#a=1');
    const forEver = createTestApp();
    await deliver(forEver, late);
    expect(forEver.stored()).toMatchObject([{ bucket: Date.UTC(2003) / 1000 }]);
    const forDays = createTestApp({ retentionSeconds: 86_400 });
    expect((await deliver(forDays, late)).status).toBe(200);
    expect(forDays.stored()).toEqual([]);
  });

  test('counts a batch once that is delivered again, also where the sender has lost more lines meanwhile', async () => {
    const service = createTestApp();
    const body = shuttleFrame('measure#a=1 count#b=2') + shuttleFrame('measure#a=3');
    const lost = (time: string) =>
      shuttleFrame('Error L12: 5 messages dropped since then', { time, procid: 'log-shuttle' });
    for (const headers of [frameHeaders, { 'X-Request-Id': 'c9ad4d90-5a3f' }]) {
      const before = service.stored().length;
      await deliver(service, lost('2012-12-11T05:12:11Z') + body, { headers });
      expect(service.stored()).toHaveLength(before + 2);
      await deliver(service, lost('2012-12-11T05:12:41Z') + body, { headers });
      expect(service.stored()).toHaveLength(before + 2);
    }
    for (const { id } of service.stored()) expect(id).toMatch(uuidV8);
  });

  test('takes other lines, other options and batches without a name for others', async () => {
    const service = createTestApp();
    await deliver(service, logplexFrame('measure#a=1'), { headers: frameHeaders });
    await deliver(service, logplexFrame('measure#a=2'), { headers: frameHeaders });
    await deliver(service, logplexFrame('measure#a=1'), { headers: frameHeaders, query: '?resolution=10' });
    await deliver(service, logplexFrame('measure#a=1'), { headers: frameHeaders, query: '?prefix=b' });
    await deliver(service, logplexFrame('measure#a=1'));
    await deliver(service, logplexFrame('measure#a=1'));
    expect(service.stored()).toHaveLength(6);
  });

  test('gives the summary whose last value is later the greater id, so that the last of a bucket is the last', async () => {
    const service = createTestApp();
    const deliverAt = (second: string, value: number, id: string) =>
      deliver(service, at(`2012-12-11T05:12:${second}+00:00`, `sample#a=${value}`), {
        headers: { 'Logplex-Frame-Id': id },
      });
    for (let index = 0; index < 20; index += 1) await deliverAt(String(10 + index), index, `frame ${index}`);
    const [series] = (await (await service.get({ resolution: 'minute' })).json()) as { last: { value: number }[] }[];
    expect(series?.last).toMatchObject([{ value: 19 }]);
  });

  test('is 503 when no database has committed, so that the batch is sent again', async () => {
    const service = createTestApp();
    service.memory.failure = new Failure('too_few_copies', '0 of 2 databases have committed, 1 needed');
    const response = await deliver(service, logplexFrame('measure#a=1'), { headers: frameHeaders });
    expect([response.status, response.headers.has('Retry-After')]).toEqual([503, true]);
    expect(service.observations.filter(({ type }) => type === 'logs_received')).toEqual([]);
  });

  test('is 200 when the databases refuse a summary for good: to send the batch again would not help', async () => {
    const service = createTestApp();
    service.memory.failure = new Failure('summaries_refused', 'refused');
    expect((await deliver(service, logplexFrame('measure#a=1'))).status).toBe(200);
  });

  test('tells of lines that were lost upstream, and takes no values from such a report', async () => {
    const service = createTestApp();
    const l10 = 'Error L10 (output buffer overflow): 500 messages dropped since 2013-04-17T19:04:46+00:00.';
    const ofDrain =
      "Error L10 (output buffer overflow): drain 'd.34bc219c-983b-463e-a17d-3d34ee7db812' dropped 9 messages since 2013-04-17T19:04:46.263+00:00.";
    await deliver(
      service,
      logplexFrame(l10, { procid: 'logplex' }) +
        shuttleFrame('Error L13: 7 messages lost since 2013-04-17T19:04:46.000000+00:00', { procid: 'log-shuttle' }) +
        logplexFrame(ofDrain, { procid: 'logplex' }) +
        logplexFrame('measure#a=1', { procid: 'logplex' }) +
        logplexFrame(l10, { procid: 'web.1' }),
    );
    const [received] = service.observations.filter(({ type }) => type === 'logs_received');
    expect(received).toMatchObject({
      lines: 5,
      values: 1,
      dropped: [
        { code: 'L10', lines: 500 },
        { code: 'L13', lines: 7 },
        { code: 'L10', lines: 9 },
      ],
    });
  });

  test('counts what is broken and keeps the first few', async () => {
    const service = createTestApp();
    await deliver(
      service,
      `${logplexFrame('measure#a=x count#=1 '.repeat(20))}garbage\n${logplexFrame('measure#a=1')}`,
    );
    const [received] = service.observations.filter(({ type }) => type === 'logs_received');
    expect(received).toMatchObject({ broken: 41, values: 1 });
    expect(received).toHaveProperty('brokenFirst.0', { problem: 'is not a number', text: 'measure#a=x' });
    expect(received).toHaveProperty('brokenFirst.length', 10);
  });

  test('is refused as every body is that is too large or not what it says', async () => {
    const small = createTestApp({ bodyBytesMax: 100 });
    expect((await deliver(small, logplexFrame('x'.repeat(100)))).status).toBe(413);
    expect((await deliver(small, 'x', { headers: { 'Content-Encoding': 'gzip' } })).status).toBe(400);
    expect((await deliver(small, 'x', { headers: { 'Content-Encoding': 'br' } })).status).toBe(415);
    expect((await createTestApp().app.request('/logs')).status).toBe(405);
  });
});
