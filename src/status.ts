import type { DatabaseStatus } from './database/health.ts';
import type { Observation, Observe } from './domain/observation.ts';
import type { Status } from './http/operation-routes.ts';

export interface StatusBoardOptions {
  readonly version: string;
  readonly writeAcks: number;
  readonly databases: () => readonly DatabaseStatus[];
  /** Summaries that wait to be written to a database. */
  readonly pending: (database: string) => number;
  /** What is known of other services of the same databases, and of clocks; of none when left out. */
  readonly shared?: () => SharedStatus;
}

/** What services of the same databases have in common, as it is in force for this one. */
export interface SharedStatus extends Pick<Status, 'acks' | 'keeps' | 'clocks'> {
  of(database: string): Pick<Status['databases'][number], 'caughtUp' | 'weeksHeldBack'>;
}

/** What `/-/status` and `/-/ready` answer from. */
export interface StatusBoard {
  readonly observe: Observe;
  isReady(): boolean;
  status(): Status;
}

interface Counts {
  ok: number;
  failed: number;
  repaired: number;
  repairedAt: string | null;
  behind: number | null;
}

/** Counts what happened to each database since start, and knows whether the service is to get requests. */
export function createStatusBoard(options: StatusBoardOptions): StatusBoard {
  const { version, writeAcks, databases, pending, shared = () => sharedByNobody(writeAcks) } = options;
  const counts = new Map<string, Counts>();
  let lookedAt: string | null = null;
  const logs = createLogsTally();
  let isStopping = false;

  const countsOf = (database: string) => {
    const known = counts.get(database) ?? { ok: 0, failed: 0, repaired: 0, repairedAt: null, behind: null };
    counts.set(database, known);
    return known;
  };
  const isReady = () => !isStopping && databases().filter(({ state }) => state === 'up').length >= shared().acks.writes;

  return {
    observe(observation) {
      if (observation.type === 'write_committed') countsOf(observation.database).ok += 1;
      if (observation.type === 'write_failed') countsOf(observation.database).failed += 1;
      if (observation.type === 'repaired') {
        const known = countsOf(observation.database);
        known.repaired += observation.summaries;
        known.repairedAt = new Date().toISOString();
      }
      if (observation.type === 'repair_looked') {
        lookedAt = new Date().toISOString();
        for (const [name, behind] of Object.entries(observation.missing)) countsOf(name).behind = behind;
      }
      if (observation.type === 'logs_received') logs.add(observation);
      if (observation.type === 'stopping') isStopping = true;
    },
    isReady,
    status() {
      const { of, ...inForce } = shared();
      return {
        version,
        ready: isReady(),
        writeAcks,
        ...inForce,
        warnings: warningsOf(shared(), databases()),
        uptimeSeconds: Math.floor(process.uptime()),
        repair: { lookedAt },
        logs: logs.status(),
        databases: databases().map((database) => {
          const { ok, failed, ...repair } = countsOf(database.name);
          return {
            ...database,
            ...of(database.name),
            queue: pending(database.name),
            writes: { ok, failed },
            repair,
          };
        }),
      };
    },
  };
}

function warningsOf({ clocks, of }: SharedStatus, databases: readonly DatabaseStatus[]): string[] {
  const held = databases.flatMap(({ name }) => {
    const { weeksHeldBack } = of(name);
    if (weeksHeldBack === 0) return [];
    return [
      `${name} holds back ${weeksHeldBack} ${weeksHeldBack === 1 ? 'week' : 'weeks'} past RETENTION: "m2pg gc --drop" drops ` +
        'them, if RETENTION is new or shorter, or m2pg did not run for long; else a clock is or was wrong',
    ];
  });
  return [...(clocks.message === null ? [] : [clocks.message]), ...held];
}

function sharedByNobody(writeAcks: number): SharedStatus {
  return {
    acks: { writes: writeAcks, reads: writeAcks },
    keeps: { retentionDays: null, packAfterDays: null },
    clocks: { differenceMs: 0, message: null },
    of: () => ({ caughtUp: true, weeksHeldBack: 0 }),
  };
}

/** Of what log drains have sent since start. */
function createLogsTally() {
  const total = { lines: 0, values: 0, broken: 0 };
  const dropped: Record<string, number> = {};
  let brokenLast: Status['logs']['brokenLast'] = [];
  return {
    add(received: Extract<Observation, { type: 'logs_received' }>) {
      for (const key of ['lines', 'values', 'broken'] as const) total[key] += received[key];
      for (const { code, lines } of received.dropped) dropped[code] = (dropped[code] ?? 0) + lines;
      if (received.brokenFirst.length > 0) brokenLast = [...received.brokenFirst];
    },
    status: () => ({ ...total, brokenLast, droppedUpstream: { ...dropped } }),
  };
}
