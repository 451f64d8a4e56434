import type { Database } from '../database/database.ts';
import type { Summary } from '../domain/summary.ts';

// Locked in one order, so that two processes cannot wait for each other.
const noteUnits = `
  with changed as (
    select series.id, given.units
    from unnest($1::text[], $2::text[]) as given (name, units) join series on series.name = given.name
    where series.units is distinct from given.units
    order by series.id for no key update of series)
  update series set units = changed.units from changed where series.id = changed.id`;

/** After a failure, so that not every write waits for the next. */
const pauseMs = 5_000;

/**
 * Notes the units of series, after the summaries are stored and apart from the batches: a lock on the dictionary keeps no write
 * from being stored. What could not be noted is noted with the next write that has it.
 */
export interface Units {
  /** Rows of `name` and `units` that the dictionary has not. */
  toBeNoted(rows: readonly { readonly name: string; readonly units: string }[]): void;
  /** Resolves when the units of these summaries are noted, or could not be. Never rejects. */
  note(summaries: readonly Summary[]): Promise<void>;
}

/** Has nothing to note yet. */
export function createUnits(database: Database): Units {
  let waiting = new Map<string, string>();
  let lastNoting: Promise<void> = Promise.resolve();
  /** The one that begins after the last. */
  let nextNoting: Promise<void> | undefined;
  let pausedUntilMs = 0;

  const noteAll = async () => {
    nextNoting = undefined;
    const values = [[...waiting.keys()], [...waiting.values()]];
    waiting = new Map();
    try {
      await database.query('define', { text: noteUnits, values });
    } catch {
      pausedUntilMs = performance.now() + pauseMs;
    }
  };

  return {
    toBeNoted(rows) {
      if (rows.length === 0 || performance.now() < pausedUntilMs) return;
      for (const { name, units } of rows) waiting.set(name, units);
    },
    async note(summaries) {
      if (waiting.size === 0 || !summaries.some(({ name }) => waiting.has(name))) return;
      nextNoting ??= lastNoting.then(noteAll);
      lastNoting = nextNoting;
      await nextNoting;
    },
  };
}
