import type { Client } from 'pg';
import { type Figure, measurePairs, milliseconds } from './figures.ts';
import type { Ground } from './ground.ts';
import { holdRollUps } from './seed.ts';

const names = 100;
const weekSeconds = 604_800;

/** A Monday, the weeks from which on are over for long. */
const begin = Math.floor((Date.now() / 1_000 - 12 * weekSeconds - 345_600) / weekSeconds) * weekSeconds + 345_600;

/** By Box and Muller, without the chance of a logarithm of zero. */
const normal = 'sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())';

/** Log-normal milliseconds as services report them, with two decimals or three. */
const latency = (center: number, deviation: number) =>
  `round(exp(scale + ${center} + ${deviation} * ${normal})::numeric, decimals)::float8`;

/** A summary of about sixty requests: a mean as a division leaves it, the others as they were measured. */
const realistic = [
  `round(60 + sqrt(60) * ${normal})`,
  `exp(scale + 0.3 + 0.1 * ${normal})`,
  ...[latency(0, 0.12), latency(-1.8, 0.3), latency(1.9, 0.4), latency(1.3, 0.2), latency(1.75, 0.35), latency(0, 0.8)],
];

/** Numbers that use every bit that a double has: the worst case. */
const random = Array.from({ length: 8 }, () => 'exp(20 * random())');

/** A day of a summary a minute in the order of arrival, with ids of version 7. */
const seedDay = (statistics: readonly string[]) => `
  insert into summaries
  select series_id, bucket, (arrival || '7' || right(replace(gen_random_uuid()::text, '-', ''), 19))::uuid, ${statistics.join(', ')}
  from (
    select id as series_id, bucket, 2.5 + id % 10 / 6.0 as scale, 2 + id % 2 as decimals,
      lpad(to_hex(((extract(epoch from bucket) + 60 + 2 * random()) * 1000)::bigint), 12, '0') as arrival
    from generate_series(to_timestamp($1), to_timestamp($1 + 86340), '1 minute') as bucket, series) as places
  order by bucket, random()`;

async function seed(client: Client, statistics: readonly string[], days: number): Promise<number> {
  await client.query('truncate summaries');
  for (let day = 0; day < days; day += 1) {
    const at = begin + day * 86_400;
    await client.query(`select create_summaries_week(date_trunc('week', to_timestamp($1) at time zone 'UTC')::date)`, [
      at,
    ]);
    await client.query(seedDay(statistics), [at]);
  }
  // None of it is to be rolled up; only what is may be packed.
  await client.query(`update rollup_state set closed_to = now(), rolled_to = now()`);
  await client.query('truncate dirty_hours');
  await client.query('vacuum analyze');
  return days * 1_440 * names;
}

/** Packs so many weeks, or all that there are. */
export async function pack(client: Client, weeks = Number.POSITIVE_INFINITY): Promise<void> {
  const text = `select step from pack_summaries(now(), 'infinity', 50400, 20)`;
  for (let packed = 0; packed < weeks; ) {
    const [row] = (await client.query<{ step: string }>(text)).rows;
    if (row?.step === 'idle') break;
    if (row?.step === 'packed') packed += 1;
  }
  await client.query('vacuum analyze packed_summaries');
}

/** Of heap, TOAST and indexes. */
export async function bytesOf(client: Client, pattern: string): Promise<number> {
  const text = `select sum(pg_total_relation_size(oid))::float8 as bytes from pg_class
    where relkind = 'r' and relname ~ $1 and relnamespace = current_schema()::regnamespace`;
  return (await client.query<{ bytes: number }>(text, [pattern])).rows[0]?.bytes ?? Number.NaN;
}

async function bytesOfOriginal(client: Client): Promise<number> {
  await client.query(`
    create table original (id uuid, bucket timestamptz, name text, count int, mean float8, median float8, min float8,
      max float8, perc95 float8, perc99 float8, last float8);
    create index on original (bucket);
    create index on original (name);
    insert into original
    select summaries.id, bucket, name, count, mean, median, min, max, perc95, perc99, last
    from summaries join series on series.id = series_id order by bucket`);
  const bytes = await bytesOf(client, '^original$');
  await client.query('drop table original');
  return bytes;
}

/** Milliseconds of a read by minute of the days from the begin of a week. */
async function read(url: string, week: number, pattern: string, days: number): Promise<number> {
  const from = begin + week * weekSeconds;
  const query = new URLSearchParams({
    name: pattern,
    from: `${from}`,
    to: `${from + days * 86_400 - 1}`,
    resolution: 'minute',
  });
  const begun = performance.now();
  const response = await fetch(`${url}?${query}`, { headers: { 'Accept-Encoding': 'identity' } });
  await response.arrayBuffer();
  if (response.headers.get('M2pg-Complete') !== 'true') throw new Error(`incomplete: ${response.status}`);
  return performance.now() - begun;
}

/** The room that a summary takes live and packed, and what it costs to read it. */
export async function benchStorage(ground: Ground): Promise<Figure[]> {
  const { url: service } = await ground.startService({ PACK_AFTER: 'never' });
  const [url] = ground.urls;
  if (url === undefined) throw new Error('BUG: a database is needed');
  const client = await ground.connect(url);
  await holdRollUps([client]);
  await client.query(
    `insert into series (name) select 'storage.' || lpad(n::text, 3, '0') from generate_series(1, ${names}) n`,
  );
  const bytes = (value: number) => `${value.toFixed(1)} bytes`;
  const stored = () => bytesOf(client, '^(summaries|packed)_');

  const summaries = await seed(client, realistic, 30);
  const live = (await stored()) / summaries;
  const original = (await bytesOfOriginal(client)) / summaries;
  await pack(client, 2);
  const reads: Figure[] = [];
  for (const [label, pattern, days] of [
    ['1 name, 1 day', '001$', 1],
    ['100 names, 7 days', '^storage', 7],
  ] as const) {
    const pair = await measurePairs(
      () => read(service, 1, pattern, days),
      () => read(service, 2, pattern, days),
    );
    const [measured, limit] = [milliseconds(pair.measured), `${milliseconds(pair.limit)} live`];
    reads.push({ name: `read ${label}, by minute, packed`, measured, limit, ratio: pair.ratio, target: '—' });
  }
  await pack(client);
  const packed = (await stored()) / summaries;
  const worstSummaries = await seed(client, random, 7);
  await client.query('vacuum full packed_summaries');
  await pack(client);
  const worst = (await stored()) / worstSummaries;
  const figure = (name: string, value: number, beside: number, what: string, target: string): Figure => {
    return { name, measured: bytes(value), limit: `${bytes(beside)} ${what}`, ratio: value / beside, target };
  };
  return [
    figure('a summary, live', live, original, "in the original's schema", '≤ 210 bytes'),
    figure('a summary, packed', packed, live, 'live', '≤ 60 bytes'),
    figure('a summary of random bits, packed', worst, live, 'live', '—'),
    ...reads,
  ];
}
