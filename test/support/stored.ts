import { expect } from 'vitest';
import { runSql } from './fresh-database.ts';
import { eventually } from './service-process.ts';

/** G4: what was acknowledged is on every database within this time of its return. */
const equalWithinMs = 60_000;

/** For a test that waits for that: the time of it, and of all else. */
export const patientMs = equalWithinMs + 30_000;

/** Every summary of a database, row or packed, with its columns and the name that it is of: a `from` list. */
export const everySummary = `(
    select * from summaries
    union all select packed.* from series
    cross join lateral packed_with_arrivals(series.id, to_timestamp(0), to_timestamp(4e9)) as packed) as stored
  join series on series.id = series_id`;

/** The ids that a database holds, in order; one that is stored twice is there twice. */
export async function idsIn(url: URL): Promise<string[]> {
  return (await runSql(url, `select stored.id from ${everySummary} order by stored.id`)).map(({ id }) => String(id));
}

/**
 * Waits until databases hold exactly the same ids, each once, of the same names.
 *
 * @param ids Of summaries that were acknowledged, and must be among them.
 */
export async function untilEqual(urls: readonly URL[], ids: readonly string[]): Promise<void> {
  await eventually(async () => {
    const [first = [], ...others] = await Promise.all(urls.map(namedIdsIn));
    for (const other of others) expect(other).toEqual(first);
    const stored = new Set(first.map((entry) => entry.slice(0, entry.indexOf(' '))));
    expect(stored.size).toBe(first.length);
    expect(ids.filter((id) => !stored.has(id))).toEqual([]);
  }, equalWithinMs);
}

async function namedIdsIn(url: URL): Promise<string[]> {
  const text = `select stored.id || ' ' || name as entry from ${everySummary} order by entry`;
  return (await runSql(url, text)).map(({ entry }) => String(entry));
}
