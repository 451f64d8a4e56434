import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { from as copyFrom } from 'pg-copy-streams';
import { type Figure, measurePairs, perSecond } from './figures.ts';
import type { Ground, Running } from './ground.ts';
import { peakRss } from './memory.ts';
import { copySummaries, encodeCopyBatch } from './write.ts';

/** Of a bulk load. */
export const summaries = 1_000_000;

/** The names in it. */
export const bulkName = '^bench\\.';

/** The same lines again and again: to make new ones would cost more than to store them. */
const linesInBlock = 10_000;

const batchRows = 5_000;

function block(): Buffer {
  const bucket = Math.floor(Date.now() / 1000) - 3_600;
  const line = (index: number) =>
    JSON.stringify({
      name: `bench.${index % 100}.requests`,
      bucket: bucket + (index % 3_600),
      count: 10 + (index % 7),
      mean: 2.5 + (index % 1_000) / 1_000,
      median: 2.25,
      min: 1,
      max: 9.5,
      perc95: 8.5 + (index % 100) / 8,
      perc99: 9.25,
      last: 3.75,
    });
  return Buffer.from(`${Array.from({ length: linesInBlock }, (_, index) => line(index)).join('\n')}\n`);
}

/** A million lines of NDJSON, beside COPY of as many rows that were encoded beforehand. */
export async function benchBulk(ground: Ground): Promise<Figure[]> {
  const service = await ground.startService();
  const lines = block();
  const peaks: number[] = [];
  const { measured, limit, ratio } = await measurePairs(
    async () => {
      const rate = await loadLines(service, '2/2', lines);
      peaks.push(Math.round(peakRss(service)));
      return rate;
    },
    async () => {
      const begun = performance.now();
      await Promise.all(ground.urls.flatMap((url) => [copyRows(ground, url), copyRows(ground, url)]));
      return summaries / ((performance.now() - begun) / 1_000);
    },
  );
  const [first, last] = [peaks[0], peaks.at(-1)];
  return [
    {
      name: `NDJSON of ${summaries.toLocaleString('en')}; peak RSS ${first} MB after one, ${last} MB after ${peaks.length}`,
      measured: `${perSecond(measured)} summaries`,
      limit: `${perSecond(limit)} COPY binary into both`,
      ratio,
      target: '≥ 0.85',
    },
  ];
}

/** Sends a million lines; as many copies are to be made as are told. Summaries a second, until they are. */
export async function loadLines({ url }: Running, copiesExpected: string, lines = block()): Promise<number> {
  const begun = performance.now();
  const sending = request(url, { method: 'POST', headers: { 'Content-Type': 'application/x-ndjson' } });
  const answered = once(sending, 'response');
  for (let sent = 0; sent < summaries; sent += linesInBlock) {
    if (!sending.write(lines)) await once(sending, 'drain');
  }
  sending.end();
  const [response] = await answered;
  const answer = await text(response);
  const seconds = (performance.now() - begun) / 1_000;
  const copies = response.headers['m2pg-copies'];
  if (JSON.parse(answer).stored !== summaries || copies !== copiesExpected)
    throw new Error(`${copies} copies: ${answer}`);
  return summaries / seconds;
}

/** Half of the rows: each database is given them on two connections. */
async function copyRows(ground: Ground, url: URL): Promise<void> {
  const client = await ground.connect(url);
  const { header, rowBytes, batch, idOffset } = encodeCopyBatch(batchRows);
  for (let rows = 0; rows < summaries / 2; rows += batchRows) {
    for (let row = 0; row < batchRows; row += 1) randomFillSync(batch, header + row * rowBytes + idOffset, 16);
    const stream = client.query(copyFrom(copySummaries));
    await new Promise((resolve, reject) => stream.on('finish', resolve).on('error', reject).end(batch));
  }
  await client.end();
}
