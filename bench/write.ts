import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import autocannon from 'autocannon';
import { from as copyFrom } from 'pg-copy-streams';
import { statisticNames } from '../src/domain/summary.ts';
import { type Figure, measurePairs, milliseconds, perSecond } from './figures.ts';
import type { Ground } from './ground.ts';

/** Long enough for group commit to settle, short enough that a pair sees the same machine. */
const seconds = 4;

const namesCount = 100;

function summary(index: number) {
  const bucket = Math.floor(Date.now() / 1000);
  const name = `bench.${index % namesCount}.requests`;
  return { name, bucket, count: 10, mean: 2.5, median: 2.25, min: 1, max: 9.5, perc95: 8.5, perc99: 9.25, last: 3.75 };
}

const singles = Array.from({ length: namesCount }, (_, index) => JSON.stringify(summary(index)));
const array = JSON.stringify(Array.from({ length: 1_000 }, (_, index) => summary(index)));

/** Arrays of a thousand from four clients, as fast as they are taken. */
export function loadArrays(url: string, durationSeconds: number) {
  return load(url, 4, [array], durationSeconds);
}

/** Posts bodies in turn, as fast as they are taken. */
export async function load(url: string, connections: number, bodies: readonly string[], durationSeconds = seconds) {
  const result = await autocannon({
    url,
    method: 'POST',
    connections,
    duration: durationSeconds,
    requests: bodies.map((body) => ({ method: 'POST', body })),
  });
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${result.non2xx} refused, ${result.errors} failed of ${result.requests.total}`);
  }
  return result;
}

/** Writes as clients make them, beside the limits of HTTP and of the databases. */
export async function benchWrite(ground: Ground): Promise<Figure[]> {
  const [service, echo] = await Promise.all([ground.startService(), ground.startEcho()]);
  await load(service.url, 4, [array]);
  const figures: Figure[] = [];
  for (const [connections, target] of [
    [1, '—'],
    [16, '—'],
    [64, '≥ 0.60'],
    [256, '≥ 0.75'],
  ] as const) {
    const p99s: number[] = [];
    const p50s: number[] = [];
    const { measured, limit, ratio } = await measurePairs(
      async () => {
        const { requests, latency } = await load(service.url, connections, singles);
        p99s.push(latency.p99);
        return requests.average;
      },
      async () => {
        const { requests, latency } = await load(echo.url, connections, singles);
        p50s.push(latency.p50);
        return requests.average;
      },
    );
    const name = `single POST, c = ${connections}, p99 ${milliseconds(Math.max(...p99s.slice(1)))}`;
    figures.push({ name, measured: perSecond(measured), limit: `${perSecond(limit)} echo`, ratio, target });
  }
  figures.push(await benchLone(ground, service.url), await benchArrays(ground, service.url));
  return figures;
}

/** One client, one summary at a time, beside a lone prepared INSERT of the same row. */
async function benchLone(ground: Ground, url: string): Promise<Figure> {
  const [first] = ground.urls;
  if (first === undefined) throw new Error('BUG: no database');
  const client = await ground.connect(first);
  const insert = `insert into summaries (series_id, bucket, id, count, mean, median, min, max, perc95, perc99, last)
    values ($1, now(), gen_random_uuid(), 10, 2.5, 2.25, 1, 9.5, 8.5, 9.25, 3.75)`;
  const agent = new Agent({ keepAlive: true });
  const medianOf = async (work: () => Promise<unknown>) => {
    const times: number[] = [];
    const end = performance.now() + seconds * 1_000;
    while (performance.now() < end) {
      const begun = performance.now();
      await work();
      times.push(performance.now() - begun);
    }
    return times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
  };
  const { measured, limit, ratio } = await measurePairs(
    () => medianOf(() => post(url, singles[0] ?? '', agent)),
    () => medianOf(() => client.query({ name: 'lone', text: insert, values: [1] })),
  );
  return {
    name: 'single POST, c = 1, p50',
    measured: milliseconds(measured),
    limit: `${milliseconds(limit)} prepared INSERT`,
    ratio,
    target: '≤ 1.5',
  };
}

/** By `node:http`, of whose own time a request has the least. */
async function post(url: string, body: string, agent: Agent): Promise<void> {
  const sending = request(url, { method: 'POST', agent, headers: { 'Content-Length': Buffer.byteLength(body) } });
  sending.end(body);
  const [response] = (await once(sending, 'response')) as [IncomingMessage];
  await text(response);
}

/** Arrays of a thousand, beside COPY of rows that were encoded beforehand. */
async function benchArrays(ground: Ground, url: string): Promise<Figure> {
  const copy = async () => {
    const rows = await Promise.all(
      ground.urls.flatMap((database) => [copyLoop(ground, database), copyLoop(ground, database)]),
    );
    return rows.reduce((sum, count) => sum + count, 0) / ground.urls.length / seconds;
  };
  const { measured, limit, ratio } = await measurePairs(
    async () => (await load(url, 4, [array])).requests.average * 1_000,
    copy,
  );
  return {
    name: 'arrays of 1,000, c = 4',
    measured: `${perSecond(measured)} summaries`,
    limit: `${perSecond(limit)} COPY binary into both`,
    ratio,
    target: '≥ 0.75',
  };
}

/** Of the columns of `encodeCopyBatch`. */
export const copySummaries = `copy summaries (series_id, bucket, id, ${statisticNames.join(', ')}) from stdin (format binary)`;

/** Copies batches of a thousand until the time is up; the count of rows. */
async function copyLoop(ground: Ground, url: URL): Promise<number> {
  const client = await ground.connect(url);
  const { header, rowBytes, batch, idOffset } = encodeCopyBatch(1_000);
  const end = performance.now() + seconds * 1_000;
  let rows = 0;
  while (performance.now() < end) {
    for (let row = 0; row < 1_000; row += 1) randomFillSync(batch, header + row * rowBytes + idOffset, 16);
    const stream = client.query(copyFrom(copySummaries));
    await new Promise((resolve, reject) => stream.on('finish', resolve).on('error', reject).end(batch));
    rows += 1_000;
  }
  await client.end();
  return rows;
}

/** https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-BINARY-FORMAT */
export function encodeCopyBatch(rows: number) {
  const header = 19;
  const rowBytes = 2 + (4 + 4) + (4 + 8) + (4 + 16) + 8 * (4 + 8);
  const idOffset = 2 + (4 + 4) + (4 + 8) + 4;
  const batch = Buffer.alloc(header + rows * rowBytes + 2);
  batch.write('PGCOPY\n\xff\r\n\0', 'latin1');
  const now = BigInt(Math.floor(Date.now() / 1000) - 946_684_800) * 1_000_000n;
  for (let row = 0, offset = header; row < rows; row += 1) {
    offset = batch.writeInt16BE(11, offset);
    offset = batch.writeInt32BE(1 + (row % namesCount), batch.writeInt32BE(4, offset));
    offset = batch.writeBigInt64BE(now, batch.writeInt32BE(8, offset));
    offset = batch.writeInt32BE(16, offset) + 16;
    for (let statistic = 0; statistic < 8; statistic += 1) {
      offset = batch.writeDoubleBE(statistic + 0.5, batch.writeInt32BE(8, offset));
    }
  }
  batch.writeInt16BE(-1, batch.length - 2);
  return { header, rowBytes, batch, idOffset };
}
