import type { Database } from '../../src/database/database.ts';

/** A database whose clock, as it was looked at last, tells something else. `now` gives Unix seconds. */
export function withClock(database: Database, now: () => number): Database {
  return { ...database, clock: () => ({ seconds: now(), atMs: performance.now(), errorMs: 0 }) };
}
