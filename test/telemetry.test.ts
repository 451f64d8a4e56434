import { expect, test } from 'vitest';
import { Failure } from '../src/domain/failure.ts';
import type { Observation } from '../src/domain/observation.ts';
import { createTelemetry, renderTogether, type Telemetry } from '../src/telemetry.ts';

/** The lines that telemetry of two databases shows after some observations. */
async function linesAfter(...observations: readonly Observation[]): Promise<readonly string[]> {
  const { observe, render } = createTelemetry(['db1', 'db2']);
  for (const observation of observations) observe(observation);
  return (await render()).text.split('\n');
}

const failure = new Failure('timeout', 'did not answer in time');
const up = {
  type: 'database_up',
  database: 'db1',
  version: '18',
  tls: 'off',
  readOnly: false,
  isPooled: false,
  fsync: true,
} as const;

test('is Prometheus text that describes each metric', async () => {
  const { contentType, text } = await createTelemetry(['db1']).render();
  expect(contentType).toMatch(/^text\/plain/);
  expect(text).toContain('# TYPE m2pg_database_up gauge');
  expect(text).toContain('# HELP m2pg_database_up ');
});

test('has a 0 for each database before anything has happened', async () => {
  expect(await linesAfter()).toEqual(
    expect.arrayContaining([
      'm2pg_database_up{database="db1"} 0',
      'm2pg_database_up{database="db2"} 0',
      'm2pg_database_summaries_written_total{database="db1"} 0',
    ]),
  );
});

test('tells of the clock of each database that is reached, and of the weeks that it holds back, as they are now', async () => {
  const looks = [
    { database: 'db1', clockOffsetMs: -1_500 as number | null, weeksHeldBack: 3 },
    { database: 'db2', clockOffsetMs: null, weeksHeldBack: 0 },
  ];
  const { render } = createTelemetry(['db1', 'db2'], () => looks);
  const { text } = await render();
  expect(text.match(/^m2pg_database_(clock|weeks).*$/gm)).toEqual([
    'm2pg_database_clock_offset_seconds{database="db1"} -1.5',
    'm2pg_database_weeks_held_back{database="db1"} 3',
    'm2pg_database_weeks_held_back{database="db2"} 0',
  ]);
  looks[0] = { database: 'db1', clockOffsetMs: null, weeksHeldBack: 0 };
  expect((await render()).text).not.toContain('m2pg_database_clock_offset_seconds{');
});

test.each<[string, readonly Observation[], string]>([
  ['that a database is up', [up], 'm2pg_database_up{database="db1"} 1'],
  [
    'that a database is down again',
    [up, { type: 'database_down', database: 'db1', failure }],
    'm2pg_database_up{database="db1"} 0',
  ],
  [
    'the summaries that were written',
    [3, 4].map((summaries) => ({ type: 'write_committed', database: 'db1', summaries, durationMs: 20 })),
    'm2pg_database_summaries_written_total{database="db1"} 7',
  ],
  [
    'the time of a write in seconds',
    [{ type: 'write_committed', database: 'db2', summaries: 1, durationMs: 250 }],
    'm2pg_database_write_duration_seconds_sum{database="db2"} 0.25',
  ],
  [
    'the summaries that a database missed, by reason',
    [{ type: 'write_failed', database: 'db2', summaries: 5, failure }],
    'm2pg_database_summaries_missed_total{database="db2",reason="timeout"} 5',
  ],
  [
    'the time of a read in seconds',
    [{ type: 'read_done', database: 'db1', durationMs: 500 }],
    'm2pg_database_read_duration_seconds_sum{database="db1"} 0.5',
  ],
  [
    'the reads that failed, by reason',
    [{ type: 'read_failed', database: 'db1', failure }],
    'm2pg_database_reads_failed_total{database="db1",reason="timeout"} 1',
  ],
  [
    'the requests, by route and status',
    [{ type: 'request', method: 'POST', route: '/metrics', status: 201, durationMs: 1_500 }],
    'm2pg_http_request_duration_seconds_sum{method="POST",route="/metrics",status="201"} 1.5',
  ],
])('tells %s', async (_, observations, line) => {
  expect(await linesAfter(...observations)).toContain(line);
});

test('counts apart from any other telemetry in the process', async () => {
  const first = createTelemetry(['db1']);
  const second = createTelemetry(['db1']);
  first.observe(up);
  expect((await second.render()).text).toContain('m2pg_database_up{database="db1"} 0');
});

test('of several processes tells each series with its process, and leaves none out', async () => {
  const processes = ['primary', '1', '2'].map((name) => ({ name, telemetry: createTelemetry(['db1']) }));
  for (const { telemetry } of processes.slice(1)) telemetry.observe(up);
  // As it arrives from another process.
  const snapshotOf = async ({ snapshot }: Telemetry) => JSON.parse(JSON.stringify(await snapshot()));
  const snapshots = processes.map(async ({ name, telemetry }) => [name, await snapshotOf(telemetry)] as const);
  const { contentType, text } = await renderTogether(new Map(await Promise.all(snapshots)));
  expect(contentType).toBe((await createTelemetry([]).render()).contentType);
  const lines = text.split('\n').filter((line) => line.startsWith('m2pg_database_up'));
  expect(lines.toSorted()).toEqual([
    'm2pg_database_up{process="1",database="db1"} 1',
    'm2pg_database_up{process="2",database="db1"} 1',
    'm2pg_database_up{process="primary",database="db1"} 0',
  ]);
  const namesIn = (rendered: string) => new Set(rendered.match(/^# TYPE \w+/gm));
  const alone = await processes[0]?.telemetry.render();
  expect(namesIn(text)).toEqual(namesIn(alone?.text ?? ''));
});
