import { type DestinationStream, pino } from 'pino';
import { type Failure, isForOperator } from './domain/failure.ts';
import type { Observation, Observe } from './domain/observation.ts';

/** A database that is down fails every write: one line a while tells as much as thousands. */
const repeatedEveryMs = 10_000;

type Level = 'debug' | 'info' | 'warn' | 'error';
type Line = readonly [level: Level, message: string, fields?: Readonly<Record<string, unknown>>];

/**
 * Writes observations to the log, one JSON line each: on standard output, unless another destination is given.
 *
 * @param worker What each line names as the process that it is of, where there are several.
 */
export function createLog(level: string, destination?: DestinationStream, worker?: number): Observe {
  const options = {
    level,
    base: worker === undefined ? null : { worker },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const log = pino(options, destination);
  const lastLine = new Map<string, { atMs: number; suppressed: number }>();

  /** How many lines of a kind were held back since the last one; undefined: hold back this one too. */
  const suppressed = (kind: string): number | undefined => {
    const last = lastLine.get(kind);
    if (last && performance.now() - last.atMs < repeatedEveryMs) {
      last.suppressed += 1;
      return undefined;
    }
    lastLine.set(kind, { atMs: performance.now(), suppressed: 0 });
    return last?.suppressed ?? 0;
  };

  return (observation) => {
    const [lineLevel, message, fields] = describe(observation);
    const kind = throttleKind(observation);
    const held = kind === undefined ? 0 : suppressed(kind);
    if (held === undefined) return;
    log[lineLevel]({ ...fields, ...(held > 0 && { alsoSinceLast: held }) }, message);
  };
}

function throttleKind(observation: Observation): string | undefined {
  const { type } = observation;
  if (type === 'write_failed' || type === 'read_failed') {
    return `${type} ${observation.database} ${observation.failure.code}`;
  }
  if (type === 'repaired') return `${type} ${observation.database}`;
  if (type === 'quarantined') return `${type} ${observation.database}`;
  if (type === 'repair_failed') return `${type} ${observation.database} ${observation.failure.code}`;
  return type === 'connection_lost' ? `${type} ${observation.database}` : undefined;
}

/** What the log shows of each observation. Summaries, names and URLs never are in it. */
function describe(o: Observation): Line {
  switch (o.type) {
    case 'listening':
      return ['info', `listening on ${o.url}`];
    case 'stopping':
      return ['info', `${o.signal}: stopping`];
    case 'stopped':
      if (o.clean) return ['info', 'stopped'];
      return ['warn', 'stopped with work unfinished', o.cutOff ? { requestsCutOff: o.cutOff } : {}];
    case 'worker_lost':
      return ['warn', `worker ${o.worker} ended by ${o.cause}; it is replaced in ${o.pauseMs} ms`];
    case 'request':
      return ['debug', `${o.method} ${o.route} ${o.status}`, { durationMs: Math.round(o.durationMs) }];
    case 'request_failed':
      return ['error', `${o.method} ${o.route} failed unexpectedly`, trace(o.cause)];
    case 'database_up':
      return describeUp(o);
    case 'database_down':
      return [
        isForOperator(o.failure) ? 'error' : 'warn',
        `${o.database} is left out: it ${o.failure.message}`,
        reasons(o.failure),
      ];
    case 'server_lost':
    case 'server_restarted':
    case 'server_left':
    case 'server_abandoned':
      return describeServer(o);
    case 'connection_lost':
      return ['debug', `${o.database} ended an idle connection`, { reason: textOf(o.cause) }];
    case 'migrated':
      return ['info', `${o.database} migrated`, { migrations: o.migrations }];
    case 'clocks_compared':
    case 'partition_created':
    case 'partition_dropped':
    case 'weeks_held_back':
    case 'retention_extended':
    case 'maintenance_done':
    case 'rolled_up':
    case 'week_packed':
    case 'maintenance_failed':
      return describeMaintenance(o);
    case 'repair_looked':
      return ['debug', 'compared the databases', { missing: o.missing, slices: o.slices }];
    case 'repaired':
      return ['info', `${o.database} got ${o.summaries} summaries that it had missed`, hoursOf(o)];
    case 'recounted':
      return ['warn', `${o.database} had wrong digests, which are counted anew`, hoursOf(o)];
    case 'repair_failed':
      return ['warn', `${o.database ?? 'a database'} was not repaired: it ${o.failure.message}`, reasons(o.failure)];
    case 'write_committed':
      return ['debug', `${o.database} committed ${o.summaries} summaries`, { durationMs: Math.round(o.durationMs) }];
    case 'write_failed':
      return ['warn', `${o.database} missed a write: it ${o.failure.message}`, reasons(o.failure)];
    case 'quarantined':
      return [
        'warn',
        `${o.database} refuses a summary, which is in its quarantine`,
        { id: o.id, ...reasons(o.failure) },
      ];
    case 'logs_received':
      return ['debug', `took ${o.values} values from ${o.lines} lines of logs`, { broken: o.broken }];
    case 'read_done':
      return ['debug', `${o.database} answered a read`, { durationMs: Math.round(o.durationMs) }];
    case 'read_failed':
      return ['warn', `${o.database} missed a read: it ${o.failure.message}`, reasons(o.failure)];
  }
}

/** Of the servers of our own. */
function describeServer(o: Extract<Observation, { type: `server_${string}` }>): Line {
  const restart = 'restart m2pg to start it';
  switch (o.type) {
    case 'server_lost': {
      const what = o.cause === undefined ? 'ended by itself' : 'did not start';
      const reason = o.cause === undefined ? {} : { reason: textOf(o.cause) };
      return ['warn', `the server of ${o.database} ${what}; it is started again in ${o.pauseMs / 1_000} s`, reason];
    }
    case 'server_restarted':
      return ['info', `the server of ${o.database} runs again`];
    case 'server_left':
      return ['warn', `the server of ${o.database} was shut down by somebody else and is left so; ${restart}`];
    case 'server_abandoned': {
      const how = `${o.starts} starts within ${o.withinMs / 60_000} minutes did not help`;
      return [
        'error',
        `the server of ${o.database} is not started again: ${how}; see .m2pg/${o.database}.log, then ${restart}`,
      ];
    }
  }
}

type MaintenanceType =
  | 'clocks_compared'
  | 'partition_created'
  | 'partition_dropped'
  | 'weeks_held_back'
  | 'retention_extended'
  | 'maintenance_done'
  | 'rolled_up'
  | 'week_packed'
  | 'maintenance_failed';

function describeMaintenance(o: Observation & { type: MaintenanceType }): Line {
  switch (o.type) {
    case 'clocks_compared':
      return describeClocks(o);
    case 'partition_created':
      return ['info', `${o.database} has a partition for the week of ${o.monday}`];
    case 'partition_dropped':
      return ['info', `${o.database} dropped the week of ${o.monday}, past RETENTION`];
    case 'weeks_held_back':
      return describeHeldBack(o);
    case 'retention_extended':
      return describeRetention(o);
    case 'maintenance_done':
      return ['debug', o.elected ? `${o.database} maintained` : `${o.database} is maintained by another process`];
    case 'rolled_up':
      return ['debug', `${o.database} brought its roll-ups up to date`, { steps: o.steps }];
    case 'week_packed':
      return ['info', `${o.database} packed the week of ${o.monday}`];
    case 'maintenance_failed':
      return ['warn', `${o.database} was not maintained: it ${o.failure.message}`, reasons(o.failure)];
  }
}

function describeClocks({ state, message }: Observation & { type: 'clocks_compared' }): Line {
  if (message === null) return ['info', 'the clocks of this service and its databases agree'];
  return [state === 'apart' ? 'error' : 'warn', message];
}

function describeHeldBack({ database, weeks, first, last }: Observation & { type: 'weeks_held_back' }): Line {
  if (weeks === 0) return ['info', `${database} holds back no week any more`];
  const which = weeks === 1 ? `the week of ${first}` : `${weeks} weeks, from that of ${first} to that of ${last},`;
  return [
    'error',
    `${database} holds back ${which} past RETENTION: more than it drops unasked. If RETENTION is new or shorter, or m2pg did not ` +
      'run for long, let "m2pg gc --drop" drop them; else a clock is or was wrong',
  ];
}

function describeRetention({ days, ownDays }: Observation & { type: 'retention_extended' }): Line {
  const kept = days === null ? 'for ever' : `for ${days} days`;
  return [
    'warn',
    `summaries are kept ${kept}, not for ${ownDays} days: another service of these databases keeps them so long, or did within ` +
      'the last week; if none does any more, "m2pg gc --drop" drops what is past RETENTION',
  ];
}

function describeUp(o: Observation & { type: 'database_up' }): Line {
  const how = { version: o.version, tls: o.tls };
  const up = `${o.database} is up${o.readOnly ? ', read-only' : ''}${o.isPooled ? ', behind a pooler in session mode' : ''}`;
  return ['info', o.fsync ? up : `${up}; its fsync is off: a power failure loses what it has acknowledged`, how];
}

function hoursOf({ from, until }: { readonly from: number; readonly until: number }) {
  return { from: new Date(from * 1000).toISOString(), until: new Date(until * 1000).toISOString() };
}

function reasons({ code, cause }: Failure): Readonly<Record<string, unknown>> {
  if (cause === undefined) return { code };
  const sqlstate = sqlstateOf(cause);
  return { code, ...(sqlstate !== undefined && { sqlstate }), reason: textOf(cause) };
}

/** Of an error that PostgreSQL reported, which is the only one that has a severity. */
function sqlstateOf(cause: unknown): unknown {
  return cause instanceof Error && 'severity' in cause && 'code' in cause ? cause.code : undefined;
}

/** An error that nobody expected, and where it came from. Its other properties may hold values and URLs. */
function trace(cause: unknown): Readonly<Record<string, unknown>> {
  return { reason: textOf(cause), stack: cause instanceof Error ? cause.stack : undefined };
}

/** A driver's error, without the statement's values that PostgreSQL puts into `detail`. */
function textOf(cause: unknown): string {
  if (cause instanceof AggregateError && cause.message === '') return cause.errors.map(textOf).join('; ');
  return cause instanceof Error ? cause.message : String(cause);
}
