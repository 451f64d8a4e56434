import { mergeSummaries } from '../domain/merge-summaries.ts';
import { bucketStart } from '../domain/resolution.ts';
import type { AggregateQuery, Group } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';

/** Identifies a group: no name holds a NUL. */
export function groupKey({ name, bucket }: { readonly name: string; readonly bucket: number }): string {
  return `${bucket}\0${name}`;
}

/**
 * Replaces the statistics of some groups by what their single summaries give.
 *
 * @param summaries All summaries of the groups in question, every id once.
 */
export function mergeRows<Kind extends Group>(
  groups: readonly Kind[],
  summaries: readonly Summary[],
  { resolution, timezone }: AggregateQuery,
): Kind[] {
  const startOf = bucketStart(resolution, timezone);
  const rowsOf = Map.groupBy(summaries, ({ name, bucket }) => groupKey({ name, bucket: startOf(bucket) }));
  return groups.map((group) => {
    const rows = rowsOf.get(groupKey(group));
    return rows ? { ...group, ...mergeSummaries(rows) } : group;
  });
}
