import { expect, test } from 'vitest';
import { deliver, logplexFrame } from '../support/drain.ts';
import { createTestApp, now, type TestAppOptions, validSummary } from '../support/test-app.ts';

const day = 86_400;
const secondsOf = (text: string) => Date.parse(text) / 1000;

/** Sends a value of one instant through each door. @returns By door, the bucket that was stored; undefined: it was not taken. */
async function bucketsOf(time: number, options: TestAppOptions = {}) {
  const summary = JSON.stringify({ ...validSummary, bucket: time });
  const doors = {
    json: (app: ReturnType<typeof createTestApp>) => app.post(summary),
    point: (app: ReturnType<typeof createTestApp>) => app.post({ name: 'a', bucket: time, value: 1 }),
    ndjson: (app: ReturnType<typeof createTestApp>) => app.post(summary, { 'Content-Type': 'application/x-ndjson' }),
    logs: (app: ReturnType<typeof createTestApp>) =>
      deliver(app, logplexFrame('measure#a=1', { time: new Date(time * 1000).toISOString() }), {
        query: '?resolution=1',
      }),
  };
  const found: Record<string, number | undefined> = {};
  for (const [door, send] of Object.entries(doors)) {
    const app = createTestApp(options);
    await send(app);
    found[door] = app.stored()[0]?.bucket;
  }
  return found;
}

const everywhere = (bucket: number | undefined) => ({ json: bucket, point: bucket, ndjson: bucket, logs: bucket });

test.each(['2003-01-01T00:00:00Z', '2000-01-01T00:00:00Z'])('data of %s are taken by every door', async (text) => {
  expect(await bucketsOf(secondsOf(text))).toEqual(everywhere(secondsOf(text)));
});

test('data from 1970 on are taken; a log line from before 2000 has a clock that was never set, and is of now', async () => {
  for (const time of [0, 1, secondsOf('1999-12-31T23:59:59Z')]) {
    expect(await bucketsOf(time)).toEqual({ ...everywhere(time), logs: now });
  }
  expect(await bucketsOf(-1)).toEqual({ ...everywhere(undefined), logs: now });
});

test.each<[string, TestAppOptions]>([
  ['AGE_MAX', { ageMaxSeconds: 30 * day }],
  ['RETENTION', { retentionSeconds: 30 * day }],
  ['the shorter of both', { ageMaxSeconds: 30 * day, retentionSeconds: 60 * day }],
  ['the shorter of both, the other way round', { ageMaxSeconds: 60 * day, retentionSeconds: 30 * day }],
])('%s bounds what is taken, by every door alike', async (_, options) => {
  expect(await bucketsOf(now - 30 * day, options)).toEqual(everywhere(now - 30 * day));
  expect(await bucketsOf(now - 30 * day - 1, options)).toEqual(everywhere(undefined));
});

test('values of a log that are too old count as broken, and the others are stored', async () => {
  const service = createTestApp({ ageMaxSeconds: day });
  const old = new Date((now - 2 * day) * 1000).toISOString();
  const late = new Date((now - 100) * 1000).toISOString();
  const body = logplexFrame('measure#a=1 measure#b=2', { time: old }) + logplexFrame('measure#c=3', { time: late });
  expect((await deliver(service, body)).status).toBe(200);
  expect(service.stored().map(({ name }) => name)).toEqual(['c']);
  expect(service.observations).toContainEqual(
    expect.objectContaining({
      type: 'logs_received',
      values: 1,
      broken: 2,
      brokenFirst: ['a', 'b'].map((name) => ({
        problem: 'is older than RETENTION or AGE_MAX allow',
        text: `${name} at ${old}`,
      })),
    }),
  );
});
