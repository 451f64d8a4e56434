import { Failure } from '../../src/domain/failure.ts';
import { groupSummaries, type Point } from '../../src/domain/group-summaries.ts';
import { percentilesOf, sketchOfAll } from '../../src/domain/merge-summaries.ts';
import { bucketStart } from '../../src/domain/resolution.ts';
import {
  createSeriesGroups,
  type SeriesGroups,
  setStatistics,
  takePercentiles,
} from '../../src/domain/series-groups.ts';
import type { AggregateQuery, Aggregation } from '../../src/domain/store.ts';
import { type Statistics, type Summary, statisticNames } from '../../src/domain/summary.ts';

/** One group, as tests compare it. */
export interface Group extends Point {
  readonly name: string;
  /** How many summaries are in it. */
  readonly summaries: number;
  /** Those that were asked for. */
  readonly percentiles: readonly number[];
}

/**
 * The slow, obvious way from single summaries to groups: the oracle that the fast ways are held against.
 *
 * @param summaries Every id once.
 */
export function groupObviously(
  summaries: readonly Summary[],
  { resolution, timezone, percentiles = [] }: Pick<AggregateQuery, 'resolution' | 'timezone' | 'percentiles'>,
): Group[] {
  const startOf = bucketStart(resolution, timezone);
  const membersOf = Map.groupBy(summaries, ({ name, bucket }) => `${startOf(bucket)} ${name}`);
  return groupSummaries(summaries, startOf).flatMap(({ name, points }) =>
    points.map((point) => {
      const members = membersOf.get(`${point.bucket} ${name}`) ?? [];
      const percentile = percentilesOf(sketchOfAll(members), members.length, point.min, point.max);
      const wanted = percentiles.map((percent) => percentile?.(percent) ?? Number.NaN);
      return { ...point, name, summaries: members.length, percentiles: wanted };
    }),
  );
}

/** The groups of all pages. @param finish What is left to be done with a series: a store of one database leaves percentiles. */
export async function groupsOf(
  { pages, close }: Pick<Aggregation, 'pages' | 'close'>,
  finish = (series: SeriesGroups) => series,
): Promise<Group[]> {
  const groups: Group[] = [];
  for await (const page of pages) for (const series of page) groups.push(...groupsOfSeries(finish(series)));
  await close();
  return groups;
}

function groupsOfSeries({ name, buckets, counts, statistics, percentiles = [] }: SeriesGroups): Group[] {
  return Array.from(buckets, (bucket, index) => {
    const entries = statisticNames.map((statistic) => [statistic, statistics[statistic][index]]);
    return {
      name,
      bucket,
      summaries: counts[index] ?? 0,
      percentiles: percentiles.map((column) => column[index] ?? Number.NaN),
      ...(Object.fromEntries(entries) as Statistics),
    };
  });
}

/** What a store answers that holds these summaries: columns, with digests and spans, in one page. */
export function aggregateObviously(
  summaries: readonly Summary[],
  query: AggregateQuery,
): Pick<Aggregation, 'pages' | 'close'> {
  const series = seriesObviously(summaries, query);
  const { namesMax } = query;
  if (series.length > namesMax)
    throw new Failure('read_too_large', `matches more than ${namesMax} names with data in the range: narrow it`);
  const pages = (async function* () {
    if (series.length > 0) yield series;
  })();
  return { pages, close: async () => undefined };
}

function seriesObviously(
  summaries: readonly Summary[],
  query: Pick<AggregateQuery, 'resolution' | 'timezone' | 'percentiles'>,
): SeriesGroups[] {
  const startOf = bucketStart(query.resolution, query.timezone);
  return groupSummaries(summaries, startOf).map(({ name, points }) => {
    const units = summaries.find((summary) => summary.name === name && summary.units !== undefined)?.units;
    const series = createSeriesGroups(name, points.length, units);
    const ofName = summaries.filter((summary) => summary.name === name);
    points.forEach((point, index) => {
      const members = ofName.filter(({ bucket }) => startOf(bucket) === point.bucket);
      const buckets = members.map(({ bucket }) => bucket);
      series.buckets[index] = point.bucket;
      series.counts[index] = members.length;
      series.earliest[index] = Math.min(...buckets);
      series.latest[index] = Math.max(...buckets);
      series.hashes[index] = members.reduce((hash, { id }) => hash ^ hashOf(id), 0n);
      setStatistics(series, index, point);
      if (series.sketches) series.sketches[index] = sketchOfAll(members);
    });
    return takePercentiles(series, query.percentiles ?? []);
  });
}

function hashOf(id: string): bigint {
  const bits = BigInt(`0x${id.replaceAll('-', '')}`) * 0x9e3779b97f4a7c15n;
  return BigInt.asIntN(64, bits ^ (bits >> 64n));
}
