import { setTimeout as sleep } from 'node:timers/promises';
import autocannon from 'autocannon';
import type { Client } from 'pg';
import { openTcpLink } from '../test/support/tcp-link.ts';
import { bulkName, loadLines, summaries } from './bulk.ts';
import { type Figure, milliseconds } from './figures.ts';
import type { Ground } from './ground.ts';

/** What a small fleet sends, with room left for repair to be seen. */
const [connections, writesPerSecond] = [16, 1_500];

/** Of writing before the database is away. A p99 of less would tell of the machine's moods. */
const beforeMs = 60_000;

/** How often it is asked whether it has caught up. */
const everyMs = 1_000;

/** The time to catch up is given up after this. */
const givenUpMs = 300_000;

/** A database that returns a million summaries behind: how long it takes, and what writers notice of it. */
export async function benchRepair(ground: Ground): Promise<Figure[]> {
  const [first, second, third] = ground.urls;
  if (!first || !second || !third) throw new Error('BUG: three databases are needed');
  const link = await openTcpLink(second);
  const service = await ground.startService({ DATABASE_URLS: [first, link.url, third].map(String).join('|') });
  const client = await ground.connect(second);

  const before = await p99OfWrites(service.url, () => sleep(beforeMs));
  await link.set('refuse');
  await sleep(2_000);
  await loadLines(service, '2/3');
  await link.set('pass');

  const begun = performance.now();
  const during = await p99OfWrites(service.url, async () => {
    while ((await countOf(client)) < summaries) {
      if (performance.now() - begun > givenUpMs) throw new Error('it does not catch up');
      await sleep(everyMs);
    }
  });
  const caughtUpSeconds = (performance.now() - begun) / 1_000;
  await link.close();
  return [
    {
      name: `one of three databases returns ${summaries.toLocaleString('en')} summaries behind: equal after`,
      measured: `${caughtUpSeconds.toFixed(0)} s`,
      limit: '—',
      ratio: undefined,
      target: '—',
    },
    {
      name: `p99 of ${writesPerSecond.toLocaleString('en')} writes/s meanwhile`,
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

/** Milliseconds, of the writes that are sent while something else goes on. */
async function p99OfWrites(url: string, meanwhile: () => Promise<void>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<autocannon.Result>();
  const load = autocannon(
    {
      url,
      method: 'POST',
      connections,
      overallRate: writesPerSecond,
      duration: 2 * (givenUpMs / 1_000),
      body: JSON.stringify({ name: 'live', value: 1 }),
    },
    (error, result) => (error ? reject(error) : resolve(result)),
  );
  await meanwhile().finally(load.stop);
  const { latency, non2xx, errors } = await promise;
  if (non2xx > 0 || errors > 0) throw new Error(`${non2xx} refused, ${errors} failed`);
  return latency.p99;
}
