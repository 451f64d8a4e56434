import type { Client } from 'pg';
import type { Database } from '../src/database/database.ts';
import { mergeLoose } from '../src/database/roll-up.ts';
import { binsOf, sketchOf } from '../src/domain/sketch.ts';
import { sketchToProto } from '../src/domain/sketch-proto.ts';
import { type Figure, measurePairs, milliseconds, perSecond } from './figures.ts';
import type { Ground } from './ground.ts';
import { fetchRead, largestRead, timed } from './read.ts';
import { holdRollUps, rollUp, seedMinutes } from './seed.ts';
import { bytesOf, pack } from './storage.ts';
import { load } from './write.ts';

/** In a summary: a request a second. */
const valuesMany = 60;

/** So many that those of a chunk hardly repeat, which would be compressed. */
const sketchesMany = 5_000;

const days = 7;

/** Latencies of a service in milliseconds: log-normal, of a median that differs from minute to minute. */
function latencies(index: number): number[] {
  return Array.from({ length: valuesMany }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
    return (40 + (index % 20)) * Math.exp(0.4 * normal);
  });
}

const samples = Array.from({ length: sketchesMany }, (_, index) => latencies(index));
const sketches = samples.map((values) => Buffer.from(sketchOf(binsOf(values))));

/** What sketches cost: room, writes, and the largest read, each beside the same without. */
export async function benchSketches(ground: Ground): Promise<Figure[]> {
  const writing = await ground.startService({ PACK_AFTER: 'never' });
  const clients = await Promise.all(ground.urls.map((url) => ground.connect(url)));
  await holdRollUps(clients);
  const figures = await benchWrites(writing.url);
  // Else it would repair what differs between the databases.
  await writing.stop();
  figures.push(...(await benchRoom(clients)));
  await Promise.all(clients.map((client) => client.query('truncate summaries')));
  const reading = await ground.startService({ PACK_AFTER: 'never' });
  return [...figures, ...(await benchReads(reading.url, clients))];
}

async function benchWrites(url: string): Promise<Figure[]> {
  const bucket = Math.floor(Date.now() / 1000);
  const statistics = { mean: 2.5, median: 2.25, min: 1, max: 9.5, perc95: 8.5, perc99: 9.25, last: 3.75 };
  const summaryOf = (index: number) => ({ name: `bench.${index % 100}`, bucket, count: valuesMany, ...statistics });
  const sketchedOf = (index: number) => {
    const values = samples[index % sketchesMany] ?? [];
    const proto = Buffer.from(sketchToProto(sketches[index % sketchesMany] ?? Buffer.of()) ?? []);
    // A sketch must fit the extremes of its summary.
    const extremes = { min: Math.min(...values), max: Math.max(...values) };
    return { ...summaryOf(index), ...extremes, sketch: proto.toString('base64') };
  };
  const bare = JSON.stringify(Array.from({ length: 1_000 }, (_, index) => summaryOf(index)));
  const rich = JSON.stringify(Array.from({ length: 1_000 }, (_, index) => sketchedOf(index)));
  const rate = async (body: string) => (await load(url, 4, [body])).requests.average * 1_000;
  const arrays = await measurePairs(
    () => rate(rich),
    () => rate(bare),
  );
  const lines = Array.from({ length: 1_000 }, (_, index) => {
    const frame = `<40>1 ${new Date().toISOString()} host app web.1 - measure#bench.${index % 20}=${index}.5ms source=web.1\n`;
    return `${Buffer.byteLength(frame)} ${frame}`;
  }).join('');
  const logs = await load(url.replace('/metrics', '/logs'), 4, [lines]);
  return [
    {
      name: `arrays of 1,000 with a sketch of ${valuesMany} values each, c = 4`,
      measured: `${perSecond(arrays.measured)} summaries`,
      limit: `${perSecond(arrays.limit)} without`,
      ratio: arrays.ratio,
      target: '—',
    },
    {
      name: 'POST /logs, 1,000 lines of 20 metrics, c = 4',
      measured: `${perSecond(logs.requests.average * 1_000)} lines`,
      limit: '—',
      ratio: undefined,
      target: '—',
    },
  ];
}

async function benchRoom(clients: readonly Client[]): Promise<Figure[]> {
  const [client] = clients;
  if (client === undefined) throw new Error('BUG: a database is needed');
  const measured: number[] = [];
  for (const isSketched of [false, true]) {
    await client.query('truncate summaries');
    await seedMinutes([client], { fromDaysAgo: 7 * 12, toDaysAgo: 7 * 12 - days });
    if (isSketched) await addSketches([client]);
    const [{ count }] = (await client.query('select count(*)::float8 as count from summaries')).rows;
    await client.query('vacuum full');
    const live = (await bytesOf(client, '^summaries_')) / count;
    await client.query(`update rollup_state set closed_to = now(), rolled_to = now()`);
    await client.query('truncate dirty_hours');
    await pack(client);
    measured.push(live, (await bytesOf(client, '^packed_summaries$')) / count);
  }
  const [live = 0, packed = 0, liveSketched = 0, packedSketched = 0] = measured;
  const average = sketches.reduce((sum, sketch) => sum + sketch.length, 0) / sketchesMany;
  const bytes = (value: number) => `${value.toFixed(1)} bytes`;
  const figure = (name: string, value: number, without: number): Figure => {
    return { name, measured: bytes(value), limit: `${bytes(without)} without`, ratio: value / without, target: '—' };
  };
  return [
    figure(`a summary with a sketch of ${average.toFixed(1)} bytes, live, without gaps`, liveSketched, live),
    figure('a summary with a sketch, packed', packedSketched, packed),
  ];
}

async function benchReads(url: string, clients: readonly Client[]): Promise<Figure[]> {
  await seedMinutes(clients, { fromDaysAgo: days, toDaysAgo: 0 });
  await rollUp(clients);
  const medians = async (resolution: string) => {
    const times: number[] = [];
    for (let run = 0; run < 6; run += 1) times.push(await timed(() => fetchRead(url, { ...largestRead, resolution })));
    return times.slice(1).toSorted((a, b) => a - b)[2] ?? Number.NaN;
  };
  const cases = [
    ['90m', '100 names, 7 days, by 90 minutes, from summaries'],
    ['hour', '100 names, 7 days, by hour, rolled up'],
    ['day', '100 names, 7 days, by day, rolled up'],
  ] as const;
  const without = new Map<string, number>();
  for (const [resolution] of cases) without.set(resolution, await medians(resolution));
  await addSketches(clients);
  const seconds = await rollUp(clients);
  const begun = performance.now();
  await Promise.all(clients.map((client) => mergeLoose(asDatabase(client))));
  const merging = (performance.now() - begun) / 1_000;
  const figures: Figure[] = [];
  for (const [resolution, label] of cases) {
    const [value, limit] = [await medians(resolution), without.get(resolution) ?? Number.NaN];
    const beside = `${milliseconds(limit)} without`;
    figures.push({
      name: `read ${label}, with sketches`,
      measured: milliseconds(value),
      limit: beside,
      ratio: value / limit,
      target: '—',
    });
  }
  const name = 'roll-up of 1 M summaries with sketches: in PostgreSQL, and the merging of sketches in the service';
  return [
    ...figures,
    { name, measured: `${seconds.toFixed(0)} s`, limit: `${merging.toFixed(0)} s`, ratio: undefined, target: '—' },
  ];
}

/** Gives every summary one of the sketches, the same in each database. */
async function addSketches(clients: readonly Client[]): Promise<void> {
  const text = `
    update summaries set sketch = ($1::bytea[])[1 + abs(hashtext(id::text)) % ${sketchesMany}]`;
  await Promise.all(clients.map((client) => client.query(text, [sketches])));
  await Promise.all(clients.map((client) => client.query('vacuum analyze')));
}

/** As much of a database as the merging of sketches needs. */
function asDatabase(client: Client): Database {
  return { query: (_purpose: string, statement: object) => client.query(statement as never) } as unknown as Database;
}
