import type { Content, Operation } from '../history.ts';

/** What checkers look at. */
export interface Evidence {
  readonly history: readonly Operation[];
  /** Of each database, in the end. */
  readonly contents: readonly Content[];
  /** Of each service. */
  readonly writeAcks: readonly number[];
}

/** How many databases at least hold what any service has acknowledged. */
export function leastAcksOf({ writeAcks }: Evidence): number {
  return Math.min(...writeAcks);
}
