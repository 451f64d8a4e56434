import type { FailureCode } from './failure.ts';
import type { Summary } from './summary.ts';

/** Which summaries a read wants. */
export interface SummaryQuery {
  /** POSIX regular expression as PostgreSQL's `~`, matched anywhere in the name; undefined: every name. */
  readonly namePattern: string | undefined;
  /** Unix seconds, inclusive. */
  readonly from: number;
  /** Unix seconds, inclusive. */
  readonly to: number;
}

/** How one database fared in a read. */
export interface DatabaseOutcome {
  readonly database: string;
  readonly outcome: 'ok' | FailureCode;
}

/** What a read found. */
export interface Selection {
  /** Every id once, in no particular order. */
  readonly summaries: readonly Summary[];
  readonly outcomes: readonly DatabaseOutcome[];
  /** True: no summary that was acknowledged before the read began is missing. */
  readonly complete: boolean;
}

/** What a write achieved at the moment of its answer; the copies still under way go on. */
export interface Receipt {
  readonly copies: number;
  readonly databases: number;
}

/**
 * Where summaries are kept: one database, or several behind the same interface.
 *
 * The caller hands over summaries that are valid and already have their ids, and may hand over the same ones again: an
 * id is stored once. Both calls settle in bounded time, whatever the databases do.
 */
export interface Store {
  /**
   * Stores all of the summaries or, in each single database, none of them. Resolves when enough databases have
   * committed. Rejects with a Failure when they can not; the summaries may then still be in some of them.
   */
  write(summaries: readonly Summary[]): Promise<Receipt>;
  /** Finds summaries. Rejects with a Failure when no database answers, or when the query itself is wrong. */
  read(query: SummaryQuery): Promise<Selection>;
  /** Waits for the writes that are still under way. The caller bounds the wait. */
  drain(): Promise<void>;
}
