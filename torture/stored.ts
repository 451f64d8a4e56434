import { setTimeout as sleep } from 'node:timers/promises';
import { statisticNames } from '../src/domain/summary.ts';
import type { Content } from './history.ts';
import type { TortureServer } from './server.ts';

/** Every summary, row or packed. */
const everything = `
  select id, name, extract(epoch from bucket)::float8 as bucket, ${statisticNames.join(', ')} from (
    select series.name, stored.bucket, stored.id, ${statisticNames.map((name) => `stored.${name}`).join(', ')}
    from summaries as stored join series on series.id = stored.series_id
    union all
    select series.name, packed.bucket, packed.id, ${statisticNames.map((name) => `packed.${name}`).join(', ')}
    from series cross join lateral packed_with_sketches(series.id, to_timestamp(0), to_timestamp(4e9)) as packed
  ) as everything
  where name like 'torture.%'`;

const betweenLooksMs = 500;

/** What each database holds. @throws What the driver raises when one of them does not answer. */
export function readContents(servers: readonly TortureServer[]): Promise<Content[]> {
  return Promise.all(
    servers.map(async (server) => {
      const rows = await server.run(everything);
      return new Map(rows.map(({ id, ...held }) => [String(id), held])) as unknown as Content;
    }),
  );
}

/** Whether databases hold the same ids. */
export function areSame(contents: readonly Content[]): boolean {
  const [first, ...others] = contents;
  return others.every((other) => other.size === first?.size && [...other.keys()].every((id) => first.has(id)));
}

/**
 * Whether every database holds what any of them held a moment before, but for what was deleted since: as equal as databases can be
 * that are being written to.
 *
 * @throws What the driver raises when one of them does not answer.
 */
export async function areSameButForTheLatest(servers: readonly TortureServer[]): Promise<boolean> {
  const earlier = await readContents(servers);
  await sleep(betweenLooksMs);
  const later = await readContents(servers);
  const ids = new Set(earlier.flatMap((content) => [...content.keys()]));
  return [...ids].every((id) => new Set(later.map((content) => content.has(id))).size === 1);
}
