import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Observe } from './domain/observation.ts';

/** From a commit on a local disk to the longest timeout, in seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The telemetry of the service itself. */
export interface Telemetry {
  readonly observe: Observe;
  /** The Prometheus text format. */
  render(): Promise<Rendered>;
  /** The same as data that another process can be sent. */
  snapshot(): Promise<Snapshot>;
}

interface Rendered {
  readonly contentType: string;
  readonly text: string;
}

/** What looks at a database tell. */
export interface Look {
  readonly database: string;
  readonly clockOffsetMs: number | null;
  readonly weeksHeldBack: number;
}

/** The telemetry of a process at one moment. */
export type Snapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/**
 * Counts observations for `/-/metrics`.
 *
 * @param databases Their names; each has its series from the start, so that "no failure yet" is a 0 and not a gap.
 * @param looks What is known now of each database that has been looked at.
 */
export function createTelemetry(databases: readonly string[], looks: () => readonly Look[] = () => []): Telemetry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const { requests, up, writes, written, missed, reads, failedReads, ...repair } = createInstruments(registry);
  createLooksInstruments([registry], looks);
  const logs = createLogsInstruments([registry]);
  for (const database of databases) {
    up.set({ database }, 0);
    written.inc({ database }, 0);
  }

  const observe: Observe = (o) => {
    switch (o.type) {
      case 'request':
        requests.observe({ method: o.method, route: o.route, status: o.status }, o.durationMs / 1000);
        break;
      case 'database_up':
        up.set({ database: o.database }, 1);
        break;
      case 'database_down':
        up.set({ database: o.database }, 0);
        break;
      case 'write_committed':
        writes.observe({ database: o.database }, o.durationMs / 1000);
        written.inc({ database: o.database }, o.summaries);
        break;
      case 'write_failed':
        missed.inc({ database: o.database, reason: o.failure.code }, o.summaries);
        break;
      case 'read_done':
        reads.observe({ database: o.database }, o.durationMs / 1000);
        break;
      case 'read_failed':
        failedReads.inc({ database: o.database, reason: o.failure.code });
        break;
      case 'repair_looked':
        for (const [database, count] of Object.entries(o.missing)) repair.behind.set({ database }, count);
        break;
      case 'repaired':
        repair.repaired.inc({ database: o.database }, o.summaries);
        break;
      case 'quarantined':
        repair.quarantined.inc({ database: o.database });
        break;
      case 'logs_received':
        logs.values.inc(o.values);
        logs.broken.inc(o.broken);
        for (const { code, lines } of o.dropped) logs.dropped.inc({ code }, lines);
        break;
      case 'repair_failed':
        repair.failedRepairs.inc({ database: o.database ?? 'any', reason: o.failure.code });
        break;
    }
  };

  return {
    observe,
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    snapshot: () => registry.getMetricsAsJSON(),
  };
}

/**
 * The telemetry of several processes in the Prometheus text format, each series with the `process` that it is of: a
 * process that is replaced then begins at 0 by itself, which Prometheus understands, where a sum would seem to shrink.
 */
export async function renderTogether(snapshots: ReadonlyMap<string, Snapshot>): Promise<Rendered> {
  const labelled = [...snapshots].map(([process, snapshot]) =>
    snapshot.map((metric) => ({
      ...metric,
      // No two series have the same labels: what this one does with such does not matter, but none is left out.
      aggregator: 'sum',
      values: metric.values.map((value) => ({ ...value, labels: { process, ...value.labels } })),
    })),
  );
  const registry = AggregatorRegistry.aggregate(labelled);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

function createInstruments(registry: Registry) {
  const registers = [registry];
  const requests = new Histogram({
    name: 'm2pg_http_request_duration_seconds',
    help: 'Time to answer an HTTP request.',
    labelNames: ['method', 'route', 'status'],
    buckets,
    registers,
  });
  const up = new Gauge({
    name: 'm2pg_database_up',
    help: '1 while a database answers, else 0.',
    labelNames: ['database'],
    registers,
  });
  const writes = new Histogram({
    name: 'm2pg_database_write_duration_seconds',
    help: 'Time until a database has committed a write.',
    labelNames: ['database'],
    buckets,
    registers,
  });
  const written = new Counter({
    name: 'm2pg_database_summaries_written_total',
    help: 'Summaries that a database has committed.',
    labelNames: ['database'],
    registers,
  });
  const missed = new Counter({
    name: 'm2pg_database_summaries_missed_total',
    help: 'Summaries whose write to a database failed, by reason.',
    labelNames: ['database', 'reason'],
    registers,
  });
  const reads = new Histogram({
    name: 'm2pg_database_read_duration_seconds',
    help: 'Time until a database has answered a read.',
    labelNames: ['database'],
    buckets,
    registers,
  });
  const failedReads = new Counter({
    name: 'm2pg_database_reads_failed_total',
    help: 'Reads that a database failed to answer, by reason.',
    labelNames: ['database', 'reason'],
    registers,
  });
  return { requests, up, writes, written, missed, reads, failedReads, ...createRepairInstruments(registers) };
}

/** Asked for when they are: a database that cannot be reached has none. */
function createLooksInstruments(registers: Registry[], looks: () => readonly Look[]): void {
  new Gauge({
    name: 'm2pg_database_clock_offset_seconds',
    help: 'How far the clock of a database is ahead of that of this process.',
    labelNames: ['database'],
    registers,
    collect() {
      this.reset();
      for (const { database, clockOffsetMs } of looks()) {
        if (clockOffsetMs !== null) this.set({ database }, clockOffsetMs / 1000);
      }
    },
  });
  new Gauge({
    name: 'm2pg_database_weeks_held_back',
    help: 'Weeks past RETENTION that are not dropped before an operator asks for it.',
    labelNames: ['database'],
    registers,
    collect() {
      this.reset();
      for (const { database, weeksHeldBack } of looks()) this.set({ database }, weeksHeldBack);
    },
  });
}

function createLogsInstruments(registers: Registry[]) {
  const values = new Counter({
    name: 'm2pg_logs_values_total',
    help: 'Values that were found in the lines of log drains.',
    registers,
  });
  const broken = new Counter({
    name: 'm2pg_logs_broken_total',
    help: 'Lines and pairs of log drains that could not be understood.',
    registers,
  });
  const dropped = new Counter({
    name: 'm2pg_logs_lines_dropped_upstream_total',
    help: 'Lines that logplex or log-shuttle has lost, as it tells, by error code.',
    labelNames: ['code'],
    registers,
  });
  return { values, broken, dropped };
}

function createRepairInstruments(registers: Registry[]) {
  const behind = new Gauge({
    name: 'm2pg_database_summaries_behind',
    help: 'Summaries that a database lacked at the last look of this process, at least.',
    labelNames: ['database'],
    registers,
  });
  const repaired = new Counter({
    name: 'm2pg_database_summaries_repaired_total',
    help: 'Summaries that a database had missed and got from another.',
    labelNames: ['database'],
    registers,
  });
  const failedRepairs = new Counter({
    name: 'm2pg_repairs_failed_total',
    help: 'Repairs that were broken off, by reason.',
    labelNames: ['database', 'reason'],
    registers,
  });
  const quarantined = new Counter({
    name: 'm2pg_database_summaries_quarantined_total',
    help: 'Valid summaries that a database refused for what they are.',
    labelNames: ['database'],
    registers,
  });
  return { behind, repaired, failedRepairs, quarantined };
}
