import type { FailureCode } from './failure.ts';
import type { Resolution } from './resolution.ts';
import type { SeriesGroups } from './series-groups.ts';
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
  /** Besides those that every answer has; between 0 and 100. */
  readonly percentiles?: readonly number[];
  /** With more names than this the query is refused as `read_too_large`. */
  readonly namesMax: number;
}

/** Which names are wanted. */
export interface NamesQuery {
  /** As in `SummaryQuery`. */
  readonly namePattern: string | undefined;
  /** Unix seconds, inclusive: summaries before it count as if there were none. */
  readonly from: number;
  /** At most so many names, the first by their bytes. */
  readonly limit: number;
}

/** A metric name and the time that its summaries cover. */
export interface NamedSpan {
  readonly name: string;
  /** Of its statistics other than the count; null: nobody has said. */
  readonly units: string | null;
  /** The first and the last bucket that hold a summary, in Unix seconds. */
  readonly first: number;
  readonly last: number;
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

/** Names that hold summaries: by their bytes, none twice. */
export interface Names extends Completeness {
  readonly names: readonly NamedSpan[];
  /** True: more match than the limit. */
  readonly more: boolean;
}

/**
 * Merged statistics, a page at a time, so that memory does not grow with the answer.
 *
 * Its beginning is at hand, and with it is decided who contributes: some megabytes of text or, of a smaller answer, all of
 * it. When one of them fails later, the pages reject with `incomplete`: what was said can no longer be kept.
 */
export interface Aggregation extends Completeness {
  /** Names ascending by their bytes, none twice. To be gone through once. */
  readonly pages: AsyncIterable<readonly SeriesGroups[]>;
  /** Lets go of what the pages hold. The caller's duty, read to the end or not. */
  close(): Promise<void>;
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
  /**
   * Finds summaries and merges them into buckets by the rules of `merge-summaries.ts`. Resolves with the beginning at
   * hand. Rejects as `select` does.
   */
  aggregate(query: AggregateQuery): Promise<Aggregation>;
  /** Finds names, not summaries: the cost grows with the names that match and the weeks that are kept. Rejects as `select` does. */
  names(query: NamesQuery): Promise<Names>;
  /**
   * The units of series, by name; series that have none, or that no database knows which has answered, are left out. Rejects with
   * a Failure when no database answers.
   */
  units(names: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Waits for the writes that are still under way. The caller bounds the wait. */
  drain(): Promise<void>;
}
