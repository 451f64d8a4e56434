import type { Client } from 'pg';
import { type Figure, measurePairs, milliseconds } from './figures.ts';
import type { Ground } from './ground.ts';
import { hideRollUps, holdRollUps, rollUp, seedMinutes } from './seed.ts';

/** A read, as a client asks for it. */
export interface Read {
  readonly label: string;
  readonly pattern: string;
  readonly days: number;
  readonly resolution: string;
}

/** The largest of the reads that are measured against raw SQL. */
export const largestRead: Read = {
  label: '100 names, 7 days, by hour',
  pattern: '^read\\.',
  days: 7,
  resolution: 'hour',
};

const reads: readonly Read[] = [
  { label: '1 name, 1 day, by minute', pattern: '^read\\.001$', days: 1, resolution: 'minute' },
  { label: '10 names, 1 day, by minute', pattern: '^read\\.00', days: 1, resolution: 'minute' },
  largestRead,
];

/** What a person would write in psql for the same answer, `last` left out. */
const rawAggregate = `
  select series.name, date_bin($3::interval, bucket, 'epoch') as start, sum(count), sum(mean * count) / sum(count),
    max(median), min(min), max(max), max(perc95), max(perc99)
  from series join summaries on series_id = series.id
  where name ~ $1 and bucket >= now() - $2::interval
  group by 1, 2`;

/** Reads of a week and of a quarter of a hundred names, a summary a minute, beside the raw aggregate on one database. */
export async function benchRead(ground: Ground): Promise<Figure[]> {
  const service = await ground.startService();
  const clients = await Promise.all(ground.urls.map((url) => ground.connect(url)));
  await holdRollUps(clients);
  const figures: Figure[] = [];
  const measureAll = async (rows: string) => {
    await hideRollUps(clients);
    for (const read of reads) {
      figures.push(await measureRead(`read ${read.label}, ${rows}`, read, service.url, clients, '≤ 1.3'));
    }
    await rollUp(clients);
    const label = `read ${largestRead.label}, ${rows}, rolled up`;
    figures.push(await measureRead(label, largestRead, service.url, clients, '≤ 0.10'));
  };

  await seedMinutes(clients, { fromDaysAgo: 7, toDaysAgo: 0 });
  await rollUp(clients);
  await measureAll('1 M rows');
  await seedMinutes(clients, { fromDaysAgo: 90, toDaysAgo: 7 });
  const seconds = await rollUp(clients);
  await measureAll('13 M rows');

  const quarter = { label: '90 days × 100 names, by day', pattern: '^read\\.', days: 90, resolution: 'day' };
  const { measured } = await measurePairs(
    () => timed(() => fetchRead(service.url, quarter)),
    async () => 1,
  );
  figures.push({
    name: `read ${quarter.label}, 13 M rows, rolled up (12 M rows in ${seconds.toFixed(0)} s)`,
    measured: milliseconds(measured),
    limit: '—',
    ratio: undefined,
    target: '≤ 50 ms',
  });
  return figures;
}

async function measureRead(
  name: string,
  read: Read,
  url: string,
  [raw]: readonly Client[],
  target: string,
): Promise<Figure> {
  const values = [read.pattern, `${read.days} days`, `1 ${read.resolution}`];
  const { measured, limit, ratio } = await measurePairs(
    () => timed(() => fetchRead(url, read)),
    () => timed(async () => raw?.query(rawAggregate, values)),
  );
  return {
    name,
    measured: milliseconds(measured),
    limit: `${milliseconds(limit)} raw SQL on one database`,
    ratio,
    target,
  };
}

/** Takes the whole answer, and throws unless it is complete. */
export async function fetchRead(url: string, { pattern, days, resolution }: Read): Promise<void> {
  const query = `name=${encodeURIComponent(pattern)}&from=-${days}d&resolution=${resolution}`;
  const response = await fetch(`${url}?${query}`, { headers: { 'Accept-Encoding': 'identity' } });
  for await (const _ of response.body ?? []);
  if (response.headers.get('M2pg-Complete') !== 'true') throw new Error(`incomplete: ${response.status}`);
}

/** Milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
