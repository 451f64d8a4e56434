import type { Failure } from './failure.ts';

/**
 * Everything worth knowing that happens in m2pg, as one list. Code says what happened; `log.ts` and `telemetry.ts`
 * alone decide level, throttling and counters. A database is named `db1 … dbN`, never by its URL.
 */
export type Observation =
  | { readonly type: 'listening'; readonly url: string }
  | { readonly type: 'stopping'; readonly signal: string }
  /** `cutOff`: how many requests were in progress and got no answer, or part of one. */
  | { readonly type: 'stopped'; readonly clean: boolean; readonly cutOff?: number }
  | { readonly type: 'worker_lost'; readonly worker: number; readonly cause: string; readonly pauseMs: number }
  | {
      readonly type: 'request';
      readonly method: string;
      readonly route: string;
      readonly status: number;
      readonly durationMs: number;
    }
  | { readonly type: 'request_failed'; readonly method: string; readonly route: string; readonly cause: unknown }
  | {
      readonly type: 'database_up';
      readonly database: string;
      readonly version: string;
      readonly tls: string;
      readonly readOnly: boolean;
      /** There is a pooler between us and the server. */
      readonly isPooled: boolean;
      /** False: a power failure of the server loses what was acknowledged. */
      readonly fsync: boolean;
    }
  | { readonly type: 'database_down'; readonly database: string; readonly failure: Failure }
  /** A server of our own ended by itself, or could not be started, and is started again after the pause. */
  | { readonly type: 'server_lost'; readonly database: string; readonly pauseMs: number; readonly cause?: unknown }
  | { readonly type: 'server_restarted'; readonly database: string }
  /** Somebody else has shut it down. */
  | { readonly type: 'server_left'; readonly database: string }
  | {
      readonly type: 'server_abandoned';
      readonly database: string;
      /** So many starts within so long did not help. */
      readonly starts: number;
      readonly withinMs: number;
    }
  /** The clocks of service and databases began to agree or to differ; `apart`: so much that one of them is wrong. */
  | { readonly type: 'clocks_compared'; readonly state: 'agree' | 'differ' | 'apart'; readonly message: string | null }
  | { readonly type: 'connection_lost'; readonly database: string; readonly cause: unknown }
  | { readonly type: 'migrated'; readonly database: string; readonly migrations: readonly string[] }
  | { readonly type: 'partition_created'; readonly database: string; readonly monday: string }
  | { readonly type: 'partition_dropped'; readonly database: string; readonly monday: string }
  /** More weeks are past RETENTION than are dropped unasked. Told again when their number changes; 0: none any more. */
  | {
      readonly type: 'weeks_held_back';
      readonly database: string;
      readonly weeks: number;
      /** Mondays; undefined where there are none. */
      readonly first: string | undefined;
      readonly last: string | undefined;
    }
  /** Another service of these databases keeps summaries longer than this one; `days` null: for ever. */
  | { readonly type: 'retention_extended'; readonly days: number | null; readonly ownDays: number }
  | { readonly type: 'maintenance_done'; readonly database: string; readonly elected: boolean }
  | { readonly type: 'rolled_up'; readonly database: string; readonly steps: number }
  | { readonly type: 'week_packed'; readonly database: string; readonly monday: string }
  | { readonly type: 'maintenance_failed'; readonly database: string; readonly failure: Failure }
  /** Of each database that was looked at, how many summaries it lacks at least; in so many slices of time. */
  | { readonly type: 'repair_looked'; readonly missing: Readonly<Record<string, number>>; readonly slices: number }
  | {
      readonly type: 'repaired';
      readonly database: string;
      readonly summaries: number;
      readonly from: number;
      readonly until: number;
    }
  /** The digests of those hours did not tell what is stored. */
  | { readonly type: 'recounted'; readonly database: string; readonly from: number; readonly until: number }
  | { readonly type: 'repair_failed'; readonly database?: string; readonly failure: Failure }
  | {
      readonly type: 'write_committed';
      readonly database: string;
      readonly summaries: number;
      readonly durationMs: number;
    }
  | { readonly type: 'write_failed'; readonly database: string; readonly summaries: number; readonly failure: Failure }
  /** A database refuses a summary for what it is, not for how the database is. */
  | { readonly type: 'quarantined'; readonly database: string; readonly id: string; readonly failure: Failure }
  /** The body of a log drain was read and what it holds is committed. */
  | {
      readonly type: 'logs_received';
      readonly lines: number;
      readonly values: number;
      /** Lines and pairs that could not be understood, and the first of them. */
      readonly broken: number;
      readonly brokenFirst: readonly { readonly problem: string; readonly text: string }[];
      /** Lines that were lost on their way here, as whoever lost them tells. */
      readonly dropped: readonly { readonly code: string; readonly lines: number }[];
    }
  | { readonly type: 'read_done'; readonly database: string; readonly durationMs: number }
  | { readonly type: 'read_failed'; readonly database: string; readonly failure: Failure };

/** Takes note of something that happened. Never throws, never waits. */
export type Observe = (observation: Observation) => void;
