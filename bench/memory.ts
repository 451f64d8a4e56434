import { readFileSync } from 'node:fs';
import type { Figure } from './figures.ts';
import type { Ground, Running } from './ground.ts';
import { fetchRead } from './read.ts';
import { rollUp, seedMinutes } from './seed.ts';
import { loadArrays } from './write.ts';

const minutes = 5;

/** The most that the service takes of the machine's memory, under the heaviest write and in the largest read. */
export async function benchMemory(ground: Ground): Promise<Figure[]> {
  const writing = await ground.startService();
  await loadArrays(writing.url, minutes * 60);
  const written = peakRss(writing);
  await writing.stop();

  const clients = await Promise.all(ground.urls.map((url) => ground.connect(url)));
  await Promise.all(clients.map((client) => client.query('truncate summaries')));
  await seedMinutes(clients, { fromDaysAgo: 7, toDaysAgo: 0 });
  await rollUp(clients);
  const reading = await ground.startService();
  for (let run = 0; run < 3; run += 1) {
    await fetchRead(reading.url, { label: 'all', pattern: '^read\\.', days: 7, resolution: 'minute' });
  }
  return [
    figureOf(`peak RSS, ${minutes} minutes of arrays of 1,000 at full speed`, written, '≤ 250 MB'),
    figureOf('peak RSS, read of 100 names, 7 days, by minute: 8 M values', peakRss(reading), '≤ 200 MB'),
  ];
}

function figureOf(name: string, megabytes: number, target: string): Figure {
  return { name, measured: `${Math.round(megabytes)} MB`, limit: '—', ratio: undefined, target };
}

/** Megabytes, as Linux counts them. */
export function peakRss({ pid }: Running): number {
  const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1_024;
}
