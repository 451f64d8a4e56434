import { expect, test, vi } from 'vitest';
import { binsOf, sketchOf } from '../../src/domain/sketch.ts';
import { sketchToProto } from '../../src/domain/sketch-proto.ts';
import { createPostgresStore } from '../../src/store/postgres-store.ts';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabase, freshDatabaseUrl } from '../support/fresh-database.ts';
import { point } from '../support/service-client.ts';
import { startService } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: 90_000 });

test('what is exported can be imported, whatever its age and by whatever door it came', async () => {
  const [from, to] = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
  const service = await startService({ env: { DATABASE_URLS: from.href } });
  const post = (path: string, body: string) => fetch(`${service.url}${path}`, { method: 'POST', body });
  const line = '<190>1 2013-01-01T00:00:00Z host app web.1 - measure#a=4ms count#b=2';
  expect((await post('/logs', `${line.length} ${line}`)).status).toBe(200);
  const old = ['1970-01-01T00:00:00Z', '1987-06-05T04:03:02.123456Z'].map((bucket) => ({ ...point('c'), bucket }));
  expect((await post('/metrics', JSON.stringify(old))).status).toBe(201);

  const exported = await runToEnd(['export'], [from]);
  expect(exported).toMatchObject({ code: 0, stderr: 'exported 4 summaries\n' });
  // A limit that was set since is for what arrives anew.
  const env = { AGE_MAX: '1d' };
  const imported = await runToEnd(['import', '-'], [to], { input: exported.stdout, env });
  expect(imported).toMatchObject({ code: 0, stderr: expect.stringMatching(/^stored 4 summaries.*refused 0 lines\n$/) });
  expect((await runToEnd(['export'], [to])).stdout).toBe(exported.stdout);
  expect((await runToEnd(['verify'], [from, to])).code).toBe(0);

  const withoutIds = exported.stdout.replace(/"id":"[^"]+",/g, '');
  const refused = await runToEnd(['import', '-'], [to], { input: withoutIds, env });
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/^line 1: bucket: is older than AGE_MAX \(1 days\)$/m),
  ]);
  expect(refused.stderr).toMatch(/^stored 0 summaries.*refused 4 lines$/m);
  const pastRetention = await runToEnd(['import', '-'], [to], { input: exported.stdout, env: { RETENTION: '7d' } });
  expect(pastRetention.stderr).toMatch(/^line 1: bucket: is older than RETENTION keeps \(7 days\)$/m);
});

test('a sketch that is stored stays as it is when it is exported and imported, also if none like it is taken any more', async () => {
  const [from, to] = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
  const store = createPostgresStore({ database: await freshDatabase({ url: from }), observe: () => undefined });
  // One of other values than min and max say, and one whose bins seem to be numbered as in Go.
  const unfit = summaryOf({ count: 2, sketch: sketchOf(binsOf([300, 400])) });
  const shifted = summaryOf({ count: 2, min: 3.06, max: 306, sketch: sketchOf(binsOf([3, 300])) });
  await store.write([unfit, shifted]);
  const exported = await runToEnd(['export'], [from]);
  const imported = await runToEnd(['import', '-'], [to], { input: exported.stdout });
  expect(imported).toMatchObject({ code: 0, stderr: expect.stringMatching(/^stored 2 summaries.*refused 0 lines\n$/) });
  expect((await runToEnd(['export'], [to])).stdout).toBe(exported.stdout);
  expect((await runToEnd(['verify'], [from, to])).code).toBe(0);
});

test('what is exported can be imported, however large its sketch', async () => {
  const [from, to] = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
  const values: number[] = [];
  for (let exponent = -290; exponent < 290; exponent += 0.01) values.push(10 ** exponent, -(10 ** exponent));
  const sketch = Buffer.from(sketchToProto(sketchOf(binsOf(values))) ?? []).toString('base64');
  expect(sketch.length).toBeGreaterThan(1_000_000);
  const { value: _, ...place } = point('wide');
  const statistics = {
    mean: 0,
    median: 0,
    min: Math.min(...values),
    max: Math.max(...values),
    perc95: 1,
    perc99: 1,
    last: 1,
  };
  const service = await startService({ env: { DATABASE_URLS: from.href, WRITE_TIMEOUT_MS: '60000' } });
  const body = JSON.stringify({ ...place, bucket: 1_700_000_000, count: values.length, ...statistics, sketch });
  expect((await fetch(`${service.url}/metrics`, { method: 'POST', body })).status).toBe(201);
  const exported = await runToEnd(['export'], [from]);
  expect(exported.stdout.length).toBeGreaterThan(1_000_000);
  const imported = await runToEnd(['import', '-'], [to], { input: exported.stdout });
  expect(imported).toMatchObject({ code: 0, stderr: expect.stringMatching(/^stored 1 summaries/) });
  expect((await runToEnd(['export'], [to])).stdout).toBe(exported.stdout);
});
