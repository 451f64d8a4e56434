import { groupSummaries } from '../../src/domain/group-summaries.ts';
import { bucketStart } from '../../src/domain/resolution.ts';
import type { AggregateQuery, Group, Span } from '../../src/domain/store.ts';
import type { Summary } from '../../src/domain/summary.ts';

/**
 * The slow, obvious way from single summaries to groups: the oracle that the fast ways are held against.
 *
 * The digest's hash is the ids themselves, in order, so that it is equal exactly where the sets are.
 *
 * @param summaries Every id once.
 */
export function groupObviously(
  summaries: readonly Summary[],
  { resolution, timezone }: Pick<AggregateQuery, 'resolution' | 'timezone'>,
): Group[] {
  const startOf = bucketStart(resolution, timezone);
  const members = Map.groupBy(summaries, ({ name, bucket }) => `${startOf(bucket)} ${name}`);
  return groupSummaries(summaries, startOf).flatMap(({ name, points }) =>
    points.map((point) => {
      const ofGroup = members.get(`${point.bucket} ${name}`) ?? [];
      const ids = ofGroup.map(({ id }) => id).toSorted();
      return { ...point, name, digest: { count: ids.length, hash: ids.join() }, span: spanOf(name, ofGroup) };
    }),
  );
}

function spanOf(name: string, members: readonly Summary[]): Span {
  const buckets = members.map(({ bucket }) => bucket);
  return { name, from: Math.min(...buckets), to: Math.max(...buckets) };
}
