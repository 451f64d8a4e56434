/** What a database has said of its clock. */
export interface ClockReading {
  /** Unix seconds. */
  readonly seconds: number;
  /** When, by `performance.now()`: the middle of the round trip. */
  readonly atMs: number;
  /** It may have been that much earlier or later: half of the round trip. */
  readonly errorMs: number;
}
