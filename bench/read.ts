import { type Figure, measurePairs, milliseconds } from './figures.ts';
import type { Ground } from './ground.ts';

const names = 100;
const days = 7;

/** A summary a minute of every name, the same ids in both databases. */
const seed = `
  insert into summaries
  select series.id, minute, md5(series.name || minute)::uuid, 10, random(), random(), 0, 1, random(), random(), random()
  from series, generate_series(date_trunc('minute', now()) - interval '${days} days', now(), '1 minute') as minute
  where series.name like 'read.%'`;

const seedNames = `insert into series (name) select 'read.' || lpad(n::text, 3, '0') from generate_series(1, ${names}) n`;

const weeks = `select create_summaries_week(date_trunc('week', now() at time zone 'UTC')::date - 7 * n) from generate_series(0, 2) n`;

interface Case {
  readonly label: string;
  readonly pattern: string;
  readonly from: string;
  readonly interval: string;
  readonly resolution: string;
}

const cases: readonly Case[] = [
  { label: '1 name, 1 day, by minute', pattern: '^read\\.001$', from: '-1d', interval: '1 day', resolution: 'minute' },
  { label: '10 names, 1 day, by minute', pattern: '^read\\.00', from: '-1d', interval: '1 day', resolution: 'minute' },
  { label: '100 names, 7 days, by hour', pattern: '^read\\.', from: '-7d', interval: '7 days', resolution: 'hour' },
];

/** What a person would write in psql for the same answer, `last` left out. */
const rawAggregate = `
  select series.name, date_bin($3::interval, bucket, 'epoch') as start, sum(count), sum(mean * count) / sum(count),
    max(median), min(min), max(max), max(perc95), max(perc99)
  from series join summaries on series_id = series.id
  where name ~ $1 and bucket >= now() - $2::interval
  group by 1, 2`;

/** Reads of a million rows a database, beside the raw aggregate on one of them. */
export async function benchRead(ground: Ground): Promise<Figure[]> {
  const service = await ground.startService();
  const clients = await Promise.all(ground.urls.map((url) => ground.connect(url)));
  await Promise.all(
    clients.map(async (client) => {
      for (const statement of [weeks, seedNames, seed, 'vacuum analyze']) await client.query(statement);
    }),
  );
  const [raw, second] = clients;
  if (raw === undefined || second === undefined) throw new Error('BUG: two databases are needed');
  const get = ({ pattern, from, resolution }: Case) =>
    timed(async () => {
      const response = await fetch(
        `${service.url}?name=${encodeURIComponent(pattern)}&from=${from}&resolution=${resolution}`,
      );
      await response.text();
      if (response.headers.get('M2pg-Complete') !== 'true') throw new Error(`incomplete: ${response.status}`);
    });

  const figures: Figure[] = [];
  for (const wanted of cases) {
    const { pattern, interval, resolution } = wanted;
    const values = [pattern, interval, `1 ${resolution}`];
    const pair = await measurePairs(
      () => get(wanted),
      () => timed(() => raw.query(rawAggregate, values)),
    );
    figures.push(figureOf(`read ${wanted.label}`, pair, 'raw SQL on one database', '≤ 1.3'));
  }

  // An outage of a twentieth of the time: what a database that was away has missed.
  const [largest] = cases.slice(-1);
  if (largest === undefined) throw new Error('BUG: no cases');
  const whole: number[] = [];
  for (let run = 0; run < 6; run += 1) whole.push(await get(largest));
  await second.query(
    `delete from summaries where bucket between now() - interval '4 days' and now() - interval '4 days' + interval '${days * 24 * 0.05} hours'`,
  );
  await second.query('vacuum analyze');
  const short: number[] = [];
  for (let run = 0; run < 6; run += 1) short.push(await get(largest));
  const middle = (times: readonly number[]) => times.slice(1).toSorted((a, b) => a - b)[2] ?? Number.NaN;
  const [limit, measured] = [middle(whole), middle(short)];
  const pair = { measured, limit, ratio: measured / limit };
  figures.push(figureOf(`read ${largest.label}, one database 5 % short`, pair, 'none short', '≤ 2'));
  return figures;
}

function figureOf(
  name: string,
  { measured, limit, ratio }: { measured: number; limit: number; ratio: number },
  beside: string,
  target: string,
): Figure {
  return { name, measured: milliseconds(measured), limit: `${milliseconds(limit)} ${beside}`, ratio, target };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}
