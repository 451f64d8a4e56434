import { Failure, isForOperator } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { ClockReading } from './clocks.ts';
import { createPools, type Pools, type Purpose, type StatementTimeouts } from './pools.ts';
import type { Inspection } from './watched-connection.ts';
import { createWritePause, type WritePause } from './write-pause.ts';

/** Time for what is under way when a database is left out: long for one that answers, bounded for one that never will. */
const graceMs = 2_000;

/** Sessions that end because the server has changed its role go on until their statements end, which takes no longer. */
const statementMaxMs = 62_000;

/** A look that fails proves nothing while statements succeed. */
const recentMs = 2_000;

/**
 * `read_only` answers reads but takes no writes: a standby, or one whose disk is full; `down` is asked again and again;
 * `refused` must not be used at all: it belongs to a newer version, is too old, or is given twice.
 */
export type DatabaseState = 'starting' | 'up' | 'read_only' | 'down' | 'refused';

/** One database as `/-/status` shows it. */
export interface DatabaseStatus {
  readonly name: string;
  readonly state: DatabaseState;
  /** When it began to be so, as ISO 8601; null: it has not been reached yet. */
  readonly since: string | null;
  /** The last failure of a look, a write or a read; null: none since start. */
  readonly lastFailure: { readonly code: string; readonly message: string; readonly at: string } | null;
  readonly roundTripMs: number | null;
  readonly version: string | null;
  readonly tls: string | null;
  /** There is a pooler between us and the server. */
  readonly pooler: boolean | null;
  /** False: the server acknowledges commits that are not on disk, and a power failure loses them. */
  readonly fsync: boolean | null;
  /** How far its clock is ahead of the service's; null while it cannot be reached. */
  readonly clockOffsetMs: number | null;
}

export interface HealthOptions {
  readonly name: string;
  readonly url: URL;
  readonly poolSizeMax: number;
  readonly connectTimeoutMs: number;
  readonly timeoutMs: StatementTimeouts;
  readonly observe: Observe;
}

/** What is known of a database, and the connections that it has while it is up. */
export interface Health {
  goUp(found: Inspection): void;
  goDown(failure: Failure): void;
  /** A connection was lost on the way: idle ones may be dead without our knowing, and are replaced by new ones. */
  renewPools(cause: Error): void;
  /** A statement met this, which is no reason yet to think that the database is down. */
  noteFailure(purpose: Purpose, failure: Failure): void;
  noteSuccess(purpose: Purpose): void;
  /** Throws the Failure that keeps statements of this purpose away. */
  usablePools(purpose: Purpose): Pools;
  /** Resolves when the connections have ended. */
  dropPools(): Promise<void>;
  status(): Omit<DatabaseStatus, 'clockOffsetMs'>;
  /** As of the last look; undefined while the database cannot be reached. */
  clock(): ClockReading | undefined;
}

/** Knows nothing yet: the database is `starting`. */
export function createHealth(options: HealthOptions): Health {
  const { name, observe } = options;
  const writePause = createWritePause();
  const held = createHeldState();
  let inspection: Inspection | undefined;
  let failed: { failure: Failure; at: Date } | undefined;
  let succeededAtMs = Number.NEGATIVE_INFINITY;
  let pools: Pools | undefined;

  const dropPools = async (closeWithinMs = graceMs) => {
    const dropped = pools;
    pools = undefined;
    await dropped?.close(closeWithinMs);
  };

  return {
    goUp(found) {
      const { version, readOnly, attempt, isPooled, fsync, schema } = found;
      const next = readOnly ? 'read_only' : 'up';
      if (held.state() !== next) {
        observe({ type: 'database_up', database: name, version, readOnly, tls: attempt.state, isPooled, fsync });
        writePause.noteSuccess();
      }
      // Sessions keep the schema, and the default, read-only or not, that they began with.
      if (held.state() !== next || inspection?.schema !== schema) void dropPools(statementMaxMs);
      held.become(next);
      inspection = found;
      pools ??= openPools(options, found);
    },
    goDown(failure) {
      failed = { failure, at: new Date() };
      if (isOfLooking(failure) && performance.now() - succeededAtMs < recentMs) return;
      const next = isRefusal(failure) ? 'refused' : 'down';
      if (held.isNews(next, failure)) observe({ type: 'database_down', database: name, failure });
      held.become(next, failure);
      // Connections to a server that went away are of no use when it returns.
      void dropPools();
    },
    renewPools(cause) {
      observe({ type: 'connection_lost', database: name, cause });
      if (!pools || !inspection) return;
      void dropPools(statementMaxMs);
      pools = openPools(options, inspection);
    },
    noteFailure(purpose, failure) {
      failed = { failure, at: new Date() };
      if (purpose === 'write') writePause.noteFailure(failure);
    },
    noteSuccess(purpose) {
      succeededAtMs = performance.now();
      if (purpose === 'write') writePause.noteSuccess();
    },
    usablePools(purpose) {
      if (held.state() === 'read_only' && !isReading(purpose)) throw new Failure('read_only', 'is read-only');
      if (!pools) throw failed?.failure ?? new Failure('starting', 'has not been reached yet');
      if (purpose === 'write') writePause.check();
      return pools;
    },
    dropPools,
    clock: () => (held.isReached() ? inspection?.clock : undefined),
    status: () => ({
      name,
      ...held.describe(writePause),
      ...describe(inspection),
      lastFailure: describeFailure(failed),
    }),
  };
}

/** The state of a database, and since when it is so. */
function createHeldState() {
  let state: DatabaseState = 'starting';
  let since: Date | undefined;
  /** What an operator was told last, since it was up. */
  let complaint: string | undefined;
  return {
    state: () => state,
    isReached: () => state === 'up' || state === 'read_only',
    /** Whether to tell of a failure: of the first one, and again when an operator turns out to be needed. */
    isNews: (next: DatabaseState, failure: Failure) =>
      state !== next || (isForOperator(failure) && failure.message !== complaint),
    become(next: DatabaseState, failure?: Failure) {
      if (state !== next) since = new Date();
      if (failure === undefined) complaint = undefined;
      else if (isForOperator(failure)) complaint = failure.message;
      state = next;
    },
    /** As others are to see it: who refuses writes takes none, whatever the server says of itself. */
    describe: (writePause: WritePause): Pick<DatabaseStatus, 'state' | 'since'> =>
      state === 'up' && !writePause.isOver()
        ? { state: 'read_only', since: writePause.since() ?? null }
        : { state, since: since?.toISOString() ?? null },
  };
}

function openPools(options: HealthOptions, { attempt, schema }: Inspection): Pools {
  const { name, poolSizeMax, observe } = options;
  const onConnectionLost = (cause: Error) => observe({ type: 'connection_lost', database: name, cause });
  return createPools({ ...options, attempt, schema, sizeMax: poolSizeMax, onConnectionLost });
}

function describe(
  found: Inspection | undefined,
): Pick<DatabaseStatus, 'roundTripMs' | 'version' | 'tls' | 'pooler' | 'fsync'> {
  if (!found) return { roundTripMs: null, version: null, tls: null, pooler: null, fsync: null };
  const { roundTripMs, version, attempt, isPooled, fsync } = found;
  return { roundTripMs: Math.round(roundTripMs * 100) / 100, version, tls: attempt.state, pooler: isPooled, fsync };
}

function describeFailure(failed: { failure: Failure; at: Date } | undefined): DatabaseStatus['lastFailure'] {
  return failed ? { code: failed.failure.code, message: failed.failure.message, at: failed.at.toISOString() } : null;
}

/** On a machine short of time a look may come too late, and find no connection left, although work gets through. */
function isOfLooking({ code }: Failure): boolean {
  return code === 'timeout' || code === 'too_many_connections';
}

/** Repair takes from a database that takes no writes what the others lack. */
function isReading(purpose: Purpose): boolean {
  return purpose === 'read' || purpose === 'repair';
}

/** Failures that only an operator can mend. */
function isRefusal({ code }: Failure): boolean {
  return code === 'schema_newer' || code === 'unsupported_database' || code === 'duplicate_database';
}
