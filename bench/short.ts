import { type Figure, median, milliseconds, pairs } from './figures.ts';
import type { Ground } from './ground.ts';
import { fetchRead, largestRead, type Read, timed } from './read.ts';
import { rollUp, seedMinutes } from './seed.ts';

/** Finer than an hour: from summaries, as all reads were before there were roll-ups. */
const fine: Read = { ...largestRead, label: '100 names, 7 days, by 90 minutes', resolution: '90m' };

/** What a database that was away for a twentieth of the time has missed costs the reads that all three answer. */
export async function benchShort(ground: Ground): Promise<Figure[]> {
  const service = await ground.startService();
  const clients = await Promise.all(ground.urls.map((url) => ground.connect(url)));
  await seedMinutes(clients, { fromDaysAgo: 7, toDaysAgo: 0 });
  await rollUp(clients);
  const measure = async (read: Read) => {
    const times: number[] = [];
    for (let run = 0; run <= pairs; run += 1) times.push(await timed(() => fetchRead(service.url, read)));
    return median(times.slice(1));
  };
  const reads = [fine, largestRead];
  const whole = [await measure(fine), await measure(largestRead)];
  await clients[1]?.query(
    `delete from summaries where bucket between now() - interval '4 days' and now() - interval '4 days' + interval '8.4 hours'`,
  );
  await rollUp(clients);
  const figures: Figure[] = [];
  for (const [index, read] of reads.entries()) {
    const [limit, measured] = [whole[index] ?? Number.NaN, await measure(read)];
    figures.push({
      name: `read ${read.label}${read === fine ? '' : ', rolled up'}, one of three databases 5 % short`,
      measured: milliseconds(measured),
      limit: `${milliseconds(limit)} none short`,
      ratio: measured / limit,
      target: '≤ 2',
    });
  }
  return figures;
}
