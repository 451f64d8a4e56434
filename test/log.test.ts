import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Failure } from '../src/domain/failure.ts';
import type { Observation } from '../src/domain/observation.ts';
import { createLog } from '../src/log.ts';

afterEach(() => {
  vi.useRealTimers();
});

type Line = Record<string, unknown> & { readonly level: string; readonly msg: string };

/** A log that keeps its lines. */
function logInMemory(level = 'trace') {
  const written: string[] = [];
  const observe = createLog(level, { write: (line) => void written.push(line) });
  return {
    observe(...observations: readonly Observation[]) {
      for (const observation of observations) observe(observation);
    },
    text: () => written.join(''),
    lines: () => written.map((line): Line => JSON.parse(line)),
  };
}

const down = new Failure('unreachable', 'cannot be reached', { cause: new Error('connect ECONNREFUSED') });

function writeFailed(database = 'db1', failure = down): Observation {
  return { type: 'write_failed', database, summaries: 3, failure };
}

function readFailed(database = 'db1', failure = down): Observation {
  return { type: 'read_failed', database, failure };
}

const clocksCompared = (state: 'agree' | 'differ' | 'apart', message: string | null): Observation => ({
  type: 'clocks_compared',
  state,
  message,
});

const heldBack = (weeks: number): Observation => ({
  type: 'weeks_held_back',
  database: 'db1',
  weeks,
  first: '2030-01-07',
  last: '2030-03-04',
});

const extended = (days: number | null): Observation => ({ type: 'retention_extended', days, ownDays: 30 });

describe('a line', () => {
  test('is JSON with a time, a level in words and a message', () => {
    const log = logInMemory();
    log.observe({ type: 'listening', url: 'http://localhost:8080' });
    expect(log.text().endsWith('}\n')).toBe(true);
    expect(log.lines()).toEqual([
      { time: expect.stringMatching(/^\d{4}-.*Z$/), level: 'info', msg: 'listening on http://localhost:8080' },
    ]);
  });

  test('goes to standard output where no destination is given', async () => {
    const script = `
      import { createLog } from ${JSON.stringify(new URL('../src/log.ts', import.meta.url).href)};
      createLog('info')({ type: 'stopping', signal: 'SIGTERM' });
    `;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    expect(JSON.parse(await text(child.stdout))).toMatchObject({ level: 'info', msg: 'SIGTERM: stopping' });
  });

  test.each<[string, string, Observation]>([
    ['warn', 'a database goes down', { type: 'database_down', database: 'db1', failure: down }],
    ['warn', 'a write misses a database', writeFailed()],
    ['warn', 'a read misses a database', readFailed()],
    ['warn', 'a server of our own ends', { type: 'server_lost', database: 'db1', pauseMs: 2_000 }],
    ['info', 'a server of our own runs again', { type: 'server_restarted', database: 'db1' }],
    ['warn', 'a server of our own is shut down', { type: 'server_left', database: 'db1' }],
    [
      'error',
      'a server of our own is started no more',
      { type: 'server_abandoned', database: 'db1', starts: 5, withinMs: 600_000 },
    ],
    ['warn', 'work was lost', { type: 'stopped', clean: false }],
    ['info', 'nothing was lost', { type: 'stopped', clean: true }],
    [
      'info',
      'a database comes up',
      {
        type: 'database_up',
        database: 'db1',
        version: '18',
        tls: 'off',
        readOnly: false,
        isPooled: false,
        fsync: true,
      },
    ],
    [
      'error',
      'a request fails for no known reason',
      { type: 'request_failed', method: 'GET', route: '/', cause: null },
    ],
    ['debug', 'a write commits', { type: 'write_committed', database: 'db1', summaries: 1, durationMs: 2 }],
    ['debug', 'a request is answered', { type: 'request', method: 'GET', route: '/', status: 200, durationMs: 2 }],
  ])('has level %s when %s', (level, _, observation) => {
    const log = logInMemory();
    log.observe(observation);
    expect(log.lines().map((line) => line.level)).toEqual([level]);
  });

  test('says of a database that comes up that it would lose what it has committed, is read-only, or is behind a pooler', () => {
    const log = logInMemory();
    const server = { type: 'database_up', database: 'db1', version: '18', tls: 'off' } as const;
    const up = { ...server, readOnly: false, isPooled: false } as const;
    log.observe(
      { ...up, fsync: true },
      { ...up, fsync: false },
      { ...up, fsync: true, isPooled: true, readOnly: true },
    );
    expect(log.lines().map(({ msg }) => msg)).toEqual([
      'db1 is up',
      'db1 is up; its fsync is off: a power failure loses what it has acknowledged',
      'db1 is up, read-only, behind a pooler in session mode',
    ]);
  });

  test.each<[string, RegExp, Observation]>([
    ['warn', /^the clock of db2 .* NTP$/, clocksCompared('differ', 'the clock of db2 is 3 s ahead …, by NTP')],
    ['error', /^the clock of db2 /, clocksCompared('apart', 'the clock of db2 is 3 days ahead …')],
    ['info', /^the clocks .* agree$/, clocksCompared('agree', null)],
    [
      'error',
      /^db1 holds back 9 weeks, from that of 2030-01-07 to that of 2030-03-04, .*"m2pg gc --drop"/,
      heldBack(9),
    ],
    ['error', /^db1 holds back the week of 2030-01-07 past RETENTION/, heldBack(1)],
    ['info', /^db1 holds back no week any more$/, heldBack(0)],
    ['warn', /^summaries are kept for 90 days, not for 30 days: .*gc --drop/, extended(90)],
    ['warn', /^summaries are kept for ever, not for 30 days: /, extended(null)],
    [
      'info',
      /^db1 dropped the week of 2030-01-07, past RETENTION$/,
      { type: 'partition_dropped', database: 'db1', monday: '2030-01-07' },
    ],
  ])('of maintenance, %s, is for whoever has to do something: %s', (level, message, observation) => {
    const log = logInMemory();
    log.observe(observation);
    expect(log.lines()).toEqual([expect.objectContaining({ level, msg: expect.stringMatching(message) })]);
  });

  test('is left out below the level that is asked for', () => {
    const log = logInMemory('warn');
    log.observe({ type: 'stopped', clean: true }, { type: 'stopped', clean: false });
    expect(log.lines().map(({ msg }) => msg)).toEqual(['stopped with work unfinished']);
  });

  test('says of a server that is started no more what is to be done', () => {
    const log = logInMemory();
    log.observe(
      { type: 'server_lost', database: 'db2', pauseMs: 4_000, cause: new Error('see db2.log') },
      { type: 'server_abandoned', database: 'db2', starts: 5, withinMs: 600_000 },
    );
    expect(log.lines()).toMatchObject([
      { msg: 'the server of db2 did not start; it is started again in 4 s', reason: 'see db2.log' },
      {
        msg:
          'the server of db2 is not started again: 5 starts within 10 minutes did not help; see .m2pg/db2.log, then restart ' +
          'm2pg to start it',
      },
    ]);
  });

  test('says how many requests were cut off', () => {
    const log = logInMemory();
    log.observe({ type: 'stopped', clean: false, cutOff: 2 });
    expect(log.lines()).toMatchObject([{ msg: 'stopped with work unfinished', requestsCutOff: 2 }]);
  });

  test('names the database, the reason and the code of a failure', () => {
    const log = logInMemory();
    log.observe({ type: 'database_down', database: 'db2', failure: down });
    expect(log.lines()).toMatchObject([
      { msg: 'db2 is left out: it cannot be reached', code: 'unreachable', reason: 'connect ECONNREFUSED' },
    ]);
  });

  test('tells every reason where several addresses were tried', () => {
    const cause = new AggregateError([new Error('connect ::1'), new Error('connect 127.0.0.1')]);
    const log = logInMemory();
    log.observe(writeFailed('db1', new Failure('unreachable', 'cannot be reached', { cause })));
    expect(log.lines()).toMatchObject([{ reason: 'connect ::1; connect 127.0.0.1' }]);
  });

  test('tells where an unexpected error came from', () => {
    const cause = new TypeError('x is undefined');
    const log = logInMemory();
    log.observe({ type: 'request_failed', method: 'GET', route: '/metrics', cause });
    expect(log.lines()).toMatchObject([{ reason: 'x is undefined', stack: cause.stack }]);
  });
});

test('writes nothing secret to the log: no values of summaries, no statements, no URLs', () => {
  const cause = Object.assign(new Error('duplicate key value violates unique constraint "summaries_pkey"'), {
    detail: 'Key (name)=(secret.metric) already exists.',
    where: 'COPY summaries, line 1: "secret.metric"',
    query: 'insert into summaries values (secret)',
    parameters: ['secret.metric', 42],
    input: 'postgres://alice:secret@one.example/metrics',
    client: { password: 'secret' },
    cause: new Error('secret'),
  });
  const failure = new Failure('unknown', 'unexpected error', { cause });
  const log = logInMemory();
  log.observe(
    { type: 'request_failed', method: 'POST', route: '/metrics', cause },
    { type: 'database_down', database: 'db1', failure },
    { type: 'connection_lost', database: 'db1', cause },
    { type: 'maintenance_failed', database: 'db1', failure },
    writeFailed('db1', failure),
    readFailed('db1', failure),
  );
  expect(log.lines().length).toBe(6);
  expect(log.text()).not.toContain('secret');
});

describe('repetition', () => {
  test('a write that keeps failing gives one line in ten seconds, which counts those held back', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const log = logInMemory();
    for (let second = 0; second < 20; second += 1) {
      log.observe(writeFailed(), writeFailed());
      vi.advanceTimersByTime(1_000);
    }
    log.observe(writeFailed());
    expect(log.lines().map(({ alsoSinceLast }) => alsoSinceLast)).toEqual([undefined, 19, 19]);
  });

  test('holds back no other failure: each database, call and code has its own', () => {
    const timeout = new Failure('timeout', 'did not answer in time');
    const kinds = [writeFailed('db1'), writeFailed('db2'), readFailed('db1'), writeFailed('db1', timeout)];
    const log = logInMemory();
    log.observe(...kinds, ...kinds);
    expect(log.lines().length).toBe(kinds.length);
  });

  test('of connections that a database ends together gives one line', () => {
    const log = logInMemory();
    const lost: Observation = { type: 'connection_lost', database: 'db1', cause: new Error('terminating connection') };
    log.observe(lost, lost, lost, { ...lost, database: 'db2' });
    expect(log.lines().length).toBe(2);
  });

  test('every change of state gives its line, however fast they follow', () => {
    const up: Observation = {
      type: 'database_up',
      database: 'db1',
      version: '18.0',
      tls: 'off',
      readOnly: false,
      isPooled: false,
      fsync: true,
    };
    const log = logInMemory('info');
    log.observe(up, { type: 'database_down', database: 'db1', failure: down }, { ...up, readOnly: true }, up);
    expect(log.lines().map(({ msg }) => msg)).toEqual([
      'db1 is up',
      'db1 is left out: it cannot be reached',
      'db1 is up, read-only',
      'db1 is up',
    ]);
  });
});
