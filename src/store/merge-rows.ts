import { mergeSummaries, sketchOfAll } from '../domain/merge-summaries.ts';
import { bucketStart } from '../domain/resolution.ts';
import { type SeriesGroups, setStatistics } from '../domain/series-groups.ts';
import type { AggregateQuery, Span } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';

/** Single summaries in memory at a time, counted once a database: some 30 MB. */
const rowsAtOnceMax = 50_000;

/** Reads the summaries of some spans, every id once. */
export type ReadSpans = (spans: readonly Span[]) => Promise<readonly Summary[]>;

/** One group of a series. */
export interface GroupOf {
  readonly series: SeriesGroups;
  readonly index: number;
}

/**
 * Replaces the statistics of some groups by what their single summaries give, a bounded number of them at a time.
 *
 * @param groups Their spans and counts tell what to read.
 */
export async function mergeRowsInto(
  groups: readonly GroupOf[],
  { resolution, timezone }: AggregateQuery,
  readSpans: ReadSpans,
): Promise<void> {
  const startOf = bucketStart(resolution, timezone);
  for (const chunk of chunksOf(groups)) {
    const summaries = await readSpans(chunk.map(spanOf));
    const rowsOf = Map.groupBy(summaries, ({ name, bucket }) => keyOf(name, startOf(bucket)));
    const placed = chunk.map(({ series, index }) => rowsOf.get(keyOf(series.name, series.buckets[index])));
    refuseLost(summaries, placed);
    for (const [place, { series, index }] of chunk.entries()) {
      const rows = placed[place];
      // Deleted meanwhile: what was read first stands.
      if (rows === undefined) continue;
      setStatistics(series, index, mergeSummaries(rows));
      series.counts[index] = rows.length;
      if (series.sketches) series.sketches[index] = sketchOfAll(rows);
    }
  }
}

/** Throws if summaries are in none of the groups: their bucket would lack them without notice. */
function refuseLost(summaries: readonly Summary[], placed: readonly (readonly Summary[] | undefined)[]): void {
  const kept = placed.reduce((count, rows) => count + (rows?.length ?? 0), 0);
  if (kept === summaries.length) return;
  throw new Error(`BUG: ${summaries.length - kept} of ${summaries.length} summaries are in none of the groups`);
}

/** No name holds a NUL. */
function keyOf(name: string, bucket: number | undefined): string {
  return `${bucket}\0${name}`;
}

function spanOf({ series, index }: GroupOf): Span {
  const { name, earliest, latest } = series;
  return { name, from: earliest[index] ?? Number.NaN, to: latest[index] ?? Number.NaN };
}

function* chunksOf(groups: readonly GroupOf[]): Generator<GroupOf[]> {
  let chunk: GroupOf[] = [];
  let rows = 0;
  for (const group of groups) {
    const count = group.series.counts[group.index] ?? 0;
    if (chunk.length > 0 && rows + count > rowsAtOnceMax) {
      yield chunk;
      [chunk, rows] = [[], 0];
    }
    chunk.push(group);
    rows += count;
  }
  if (chunk.length > 0) yield chunk;
}
