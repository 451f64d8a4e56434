import { describe, expect, test } from 'vitest';
import type { Status } from '../../src/http/operation-routes.ts';
import { createTestApp } from '../support/test-app.ts';

const status: Status = {
  version: '1.2.3',
  ready: true,
  writeAcks: 1,
  acks: { writes: 1, reads: 1 },
  keeps: { retentionDays: null, packAfterDays: 14 },
  clocks: { differenceMs: 0, message: null },
  warnings: [],
  uptimeSeconds: 60,
  repair: { lookedAt: '2012-12-11T05:12:30.000Z' },
  logs: {
    lines: 3,
    values: 2,
    broken: 1,
    brokenLast: [{ problem: 'has no name', text: 'count#=1' }],
    droppedUpstream: {},
  },
  databases: [
    {
      name: 'db1',
      state: 'down',
      since: '2012-12-11T05:12:00.000Z',
      lastFailure: { code: 'unreachable', message: 'cannot be reached', at: '2012-12-11T05:12:30.000Z' },
      roundTripMs: null,
      version: null,
      tls: null,
      pooler: null,
      fsync: null,
      clockOffsetMs: null,
      caughtUp: false,
      weeksHeldBack: 0,
      writes: { ok: 0, failed: 7 },
      queue: 3,
      repair: { repaired: 0, repairedAt: null, behind: 7 },
    },
  ],
};

describe('the routes for operators', () => {
  test('/-/healthy is 200 while the process lives, whatever its databases do', async () => {
    const { app, memory } = createTestApp({ operation: { isReady: () => false } });
    memory.failure = new Error('no database');
    const response = await app.request('/-/healthy');
    expect([response.status, await response.text()]).toEqual([200, 'healthy\n']);
  });

  test.each([
    [true, 200, 'ready\n'],
    [false, 503, 'not ready\n'],
  ])('/-/ready, when that is %s, is %d', async (isReady, code, text) => {
    const { app } = createTestApp({ operation: { isReady: () => isReady } });
    const response = await app.request('/-/ready');
    expect([response.status, await response.text()]).toEqual([code, text]);
  });

  test('/-/status tells what is known of each database, as it is now', async () => {
    let uptimeSeconds = 60;
    const { app } = createTestApp({ operation: { status: () => ({ ...status, uptimeSeconds }) } });
    expect(await (await app.request('/-/status')).json()).toEqual(status);
    uptimeSeconds = 61;
    expect(await (await app.request('/-/status')).json()).toEqual({ ...status, uptimeSeconds: 61 });
  });

  test('/-/metrics has the content type that Prometheus expects', async () => {
    const contentType = 'text/plain; version=0.0.4; charset=utf-8';
    const { app } = createTestApp({ operation: { metrics: async () => ({ contentType, text: 'up 1\n' }) } });
    const response = await app.request('/-/metrics');
    expect([response.status, await response.text()]).toEqual([200, 'up 1\n']);
    expect(response.headers.get('Content-Type')).toBe(contentType);
  });

  test('touch no database', async () => {
    const { app, memory } = createTestApp();
    for (const path of ['healthy', 'ready', 'status', 'metrics']) await app.request(`/-/${path}`);
    expect(memory.calls).toEqual({ write: 0, read: 0 });
  });
});
