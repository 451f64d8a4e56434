import type { FailureCode } from './failure.ts';
import type { Point } from './group-summaries.ts';
import type { Resolution } from './resolution.ts';
import type { Summary } from './summary.ts';

/** Which summaries are wanted. */
export interface SummaryQuery {
  /** POSIX regular expression as PostgreSQL's `~`, matched anywhere in the name; undefined: every name. */
  readonly namePattern: string | undefined;
  /** Unix seconds, inclusive. */
  readonly from: number;
  /** Unix seconds, inclusive. */
  readonly to: number;
}

/** Part of one series: all of its summaries whose buckets are in the range, both ends inclusive. */
export interface Span {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** Which summaries are wanted, and into what buckets they are to be merged. */
export interface AggregateQuery extends SummaryQuery {
  readonly resolution: Resolution;
  /** IANA name. */
  readonly timezone: string;
}

/** How one database fared in a read. */
export interface DatabaseOutcome {
  readonly database: string;
  readonly outcome: 'ok' | FailureCode;
}

/** Who contributed to the result of a read. */
export interface Completeness {
  readonly outcomes: readonly DatabaseOutcome[];
  /** True: no summary that was acknowledged before the read began is missing. */
  readonly complete: boolean;
}

/** Single summaries: every id once, in no particular order. */
export interface Selection extends Completeness {
  readonly summaries: readonly Summary[];
}

/** Count and order-free hash of a set of ids: equal digests, equal sets (but for one chance in 2^64). */
export interface Digest {
  readonly count: number;
  readonly hash: string;
}

/** The merged statistics of one bucket of one series. */
export interface Group extends Point {
  readonly name: string;
  /** Of the ids in it. */
  readonly digest: Digest;
  /** The earliest and the latest bucket of its summaries. */
  readonly span: Span;
}

/** Merged statistics: one group per name and bucket that holds data, in no particular order. */
export interface Aggregation extends Completeness {
  readonly groups: readonly Group[];
}

/** What a write achieved at the moment of its answer; the copies still under way go on. */
export interface Receipt {
  readonly copies: number;
  readonly databases: number;
  /**
   * Resolves with the number of copies once none is under way any more; left out when none is. Who has much to write
   * waits for it, a while, so that the slower databases are not overrun.
   */
  readonly settled?: Promise<number>;
}

/**
 * Where summaries are kept: one database, or several behind the same interface.
 *
 * The caller hands over summaries that are valid and already have their ids, and may hand over the same ones again: an
 * id is stored once. Every call settles in bounded time, whatever the databases do.
 */
export interface Store {
  /**
   * Stores all of the summaries or, in each single database, none of them. Resolves when enough databases have
   * committed. Rejects with a Failure when they can not; the summaries may then still be in some of them.
   */
  write(summaries: readonly Summary[]): Promise<Receipt>;
  /** Finds summaries one by one. Rejects with a Failure when no database answers, or when the query itself is wrong. */
  select(query: SummaryQuery): Promise<Selection>;
  /** The summaries of the given spans, one by one. Rejects as `select` does. */
  selectSpans(spans: readonly Span[]): Promise<Selection>;
  /** Finds summaries and merges them into buckets by the rules of `merge-summaries.ts`. Rejects as `select` does. */
  aggregate(query: AggregateQuery): Promise<Aggregation>;
  /** Waits for the writes that are still under way. The caller bounds the wait. */
  drain(): Promise<void>;
}
