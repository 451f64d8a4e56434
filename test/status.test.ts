import { expect, test } from 'vitest';
import type { DatabaseStatus } from '../src/database/health.ts';
import { Failure } from '../src/domain/failure.ts';
import { createStatusBoard } from '../src/status.ts';

type State = DatabaseStatus['state'];

function statusOf(state: State, index: number): DatabaseStatus {
  return {
    name: `db${index + 1}`,
    state,
    since: null,
    lastFailure: null,
    roundTripMs: null,
    version: null,
    tls: null,
    pooler: null,
    fsync: null,
    clockOffsetMs: null,
  };
}

function boardOf(states: readonly State[], writeAcks = 1, pending = (_: string) => 0) {
  return createStatusBoard({ version: '1.2.3', writeAcks, databases: () => states.map(statusOf), pending });
}

test.each<[boolean, number, readonly State[]]>([
  [true, 1, ['up', 'down']],
  [true, 2, ['up', 'starting', 'up']],
  [false, 2, ['up', 'down']],
  [false, 1, ['down', 'starting', 'refused']],
  // Reads would work, but a load balancer that sends writes here would lose them.
  [false, 1, ['read_only', 'read_only']],
])('is ready: %o, when %d must take writes of %j', (isReady, writeAcks, states) => {
  expect(boardOf(states, writeAcks).isReady()).toBe(isReady);
});

test('follows the databases as they come and go', () => {
  const states: State[] = ['starting'];
  const board = boardOf(states);
  expect(board.isReady()).toBe(false);
  states[0] = 'up';
  expect(board.isReady()).toBe(true);
});

test('is not ready once it is stopping, whatever the databases do', () => {
  const board = boardOf(['up', 'up']);
  board.observe({ type: 'stopping', signal: 'SIGTERM' });
  expect(board.isReady()).toBe(false);
  expect(board.status().ready).toBe(false);
});

test('counts the writes and repairs of each database apart', () => {
  const board = boardOf(['up', 'down'], 1, (database) => (database === 'db2' ? 7 : 0));
  const failure = new Failure('timeout', 'did not answer in time');
  board.observe({ type: 'write_committed', database: 'db1', summaries: 5, durationMs: 1 });
  board.observe({ type: 'write_committed', database: 'db1', summaries: 5, durationMs: 1 });
  board.observe({ type: 'write_failed', database: 'db2', summaries: 5, failure });
  board.observe({ type: 'repaired', database: 'db2', summaries: 3, from: 0, until: 3_600 });
  board.observe({ type: 'repair_looked', missing: { db1: 0, db2: 2 }, slices: 1 });
  expect(board.status()).toEqual({
    version: '1.2.3',
    ready: true,
    writeAcks: 1,
    acks: { writes: 1, reads: 1 },
    keeps: { retentionDays: null, packAfterDays: null },
    clocks: { differenceMs: 0, message: null },
    warnings: [],
    uptimeSeconds: expect.any(Number),
    repair: { lookedAt: expect.any(String) },
    logs: { lines: 0, values: 0, broken: 0, brokenLast: [], droppedUpstream: {} },
    databases: [
      {
        ...statusOf('up', 0),
        caughtUp: true,
        weeksHeldBack: 0,
        queue: 0,
        writes: { ok: 2, failed: 0 },
        repair: { repaired: 0, repairedAt: null, behind: 0 },
      },
      {
        ...statusOf('down', 1),
        caughtUp: true,
        weeksHeldBack: 0,
        queue: 7,
        writes: { ok: 0, failed: 1 },
        repair: { repaired: 3, repairedAt: expect.any(String), behind: 2 },
      },
    ],
  });
});

test('adds up what log drains have sent, and keeps the last that was broken', () => {
  const board = boardOf(['up']);
  const received = { type: 'logs_received', lines: 10, values: 4, broken: 0, brokenFirst: [], dropped: [] } as const;
  const broken = [{ problem: 'is not a number', text: 'measure#a=x' }];
  board.observe({ ...received, broken: 2, brokenFirst: broken, dropped: [{ code: 'L10', lines: 500 }] });
  board.observe({
    ...received,
    dropped: [
      { code: 'L10', lines: 20 },
      { code: 'L12', lines: 3 },
    ],
  });
  expect(board.status().logs).toEqual({
    lines: 20,
    values: 8,
    broken: 2,
    brokenLast: broken,
    droppedUpstream: { L10: 520, L12: 3 },
  });
});

test('is ready when as many databases take writes as a write needs now, and tells what is in force', () => {
  const states = [{ ...statusOf('up', 0) }, { ...statusOf('down', 1) }];
  let writes = 2;
  const board = createStatusBoard({
    version: '1.2.3',
    writeAcks: 1,
    databases: () => states,
    pending: () => 0,
    shared: () => ({
      acks: { writes, reads: 1 },
      keeps: { retentionDays: 90, packAfterDays: null },
      clocks: { differenceMs: 35_000, message: 'differ' },
      of: (name) => ({ caughtUp: name === 'db1', weeksHeldBack: 4 }),
    }),
  });
  expect(board.isReady()).toBe(false);
  writes = 1;
  expect(board.isReady()).toBe(true);
  expect(board.status()).toMatchObject({
    ready: true,
    writeAcks: 1,
    acks: { writes: 1, reads: 1 },
    keeps: { retentionDays: 90, packAfterDays: null },
    clocks: { differenceMs: 35_000, message: 'differ' },
    warnings: [
      'differ',
      expect.stringMatching(/^db1 holds back 4 weeks past RETENTION: "m2pg gc --drop" drops them/),
      expect.stringMatching(/^db2 holds back 4 weeks/),
    ],
    databases: [
      { caughtUp: true, weeksHeldBack: 4 },
      { caughtUp: false, weeksHeldBack: 4 },
    ],
  });
});
