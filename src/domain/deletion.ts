import type { FailureCode } from './failure.ts';

/** What is to be deleted: the summaries of one metric name, exactly, whose buckets are in a range. */
export interface DeletionRequest {
  readonly name: string;
  /** Unix seconds, inclusive. */
  readonly from: number;
  /** Unix seconds, inclusive. */
  readonly to: number;
}

/** A deletion that was asked for: it covers what was received before it. */
export interface Deletion extends DeletionRequest {
  readonly id: string;
}

/** How far a deletion came in one database; one that has failed follows when it can be reached. */
export interface DeletionOutcome {
  readonly database: string;
  readonly outcome: 'ok' | FailureCode;
  /** Summaries, so far. */
  readonly deleted: number;
  readonly isDone: boolean;
}

/** Deletes, in all databases. */
export interface Deleter {
  /**
   * Notes the deletion in every database that can be reached, and applies it for some seconds; what is left then goes by and
   * by. A database that is away does it when it is back.
   *
   * @param askedAtMs By `performance.now()`; now when left out. What was acknowledged before is covered, what is received
   *   after the answer is not.
   * @throws Failure `too_few_copies` when so few have noted it that it might be forgotten.
   */
  delete(
    request: DeletionRequest,
    askedAtMs?: number,
  ): Promise<{ readonly id: string; readonly outcomes: readonly DeletionOutcome[] }>;
}
