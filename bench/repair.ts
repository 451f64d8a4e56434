import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import type { Client } from 'pg';
import { openTcpLink } from '../test/support/tcp-link.ts';
import { bulkName, loadLines, summaries } from './bulk.ts';
import { type Figure, milliseconds } from './figures.ts';
import type { Ground } from './ground.ts';

/** What a small fleet sends, with room left for repair to be seen. */
const [connections, writesPerSecond] = [16, 1_500];

const seconds = 10;

/** The time to catch up is given up after this. */
const givenUpMs = 300_000;

/** A database that returns a million summaries behind: how long it takes, and what writers notice of it. */
export async function benchRepair(ground: Ground): Promise<Figure[]> {
  const [first, second, third] = ground.urls;
  if (!first || !second || !third) throw new Error('BUG: three databases are needed');
  const link = await openTcpLink(second);
  const service = await ground.startService({ DATABASE_URLS: [first, link.url, third].map(String).join('|') });
  const client = await ground.connect(second);

  await p99OfWrites(service.url);
  const before = await p99OfWrites(service.url);
  await link.set('refuse');
  await sleep(2_000);
  await loadLines(service, '2/3');
  await link.set('pass');

  const begun = performance.now();
  const p99s: number[] = [];
  while ((await countOf(client)) < summaries) {
    if (performance.now() - begun > givenUpMs) throw new Error('it does not catch up');
    p99s.push(await p99OfWrites(service.url));
  }
  const caughtUpSeconds = (performance.now() - begun) / 1_000;
  await link.close();
  const during = Math.max(...p99s);
  return [
    {
      name: `one of three databases returns ${summaries.toLocaleString('en')} summaries behind: equal after, to ${seconds} s`,
      measured: `${caughtUpSeconds.toFixed(0)} s`,
      limit: '—',
      ratio: undefined,
      target: '—',
    },
    {
      name: `p99 of ${writesPerSecond.toLocaleString('en')} writes/s meanwhile, the worst ${seconds} s`,
      measured: milliseconds(during),
      limit: `${milliseconds(before)} before it was away`,
      ratio: during / before,
      target: '≤ 2',
    },
  ];
}

async function countOf(client: Client): Promise<number> {
  const text = 'select count(*)::float8 as count from summaries join series on series.id = series_id where name ~ $1';
  return (await client.query<{ count: number }>(text, [bulkName])).rows[0]?.count ?? 0;
}

/** Milliseconds, of so many seconds. */
async function p99OfWrites(url: string): Promise<number> {
  const { latency, non2xx, errors } = await autocannon({
    url,
    method: 'POST',
    connections,
    overallRate: writesPerSecond,
    duration: seconds,
    body: JSON.stringify({ name: 'live', value: 1 }),
  });
  if (non2xx > 0 || errors > 0) throw new Error(`${non2xx} refused, ${errors} failed`);
  return latency.p99;
}
