import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { stalledMs } from '../test/support/stalls.ts';
import { type Operation, type ReadOperation, type Sent, statisticsOf, type Try } from './history.ts';
import type { Random } from './random.ts';

const writers = 20;
const readers = 5;

/** Each writer some ten a second at most: the machine is to be busy with faults, not with load. */
const writePauseMs = 90;
const readPauseMs = 400;

/** More than the writers come to, in one page of the service. */
const readSeconds = 10_000;

/** A request that takes longer hangs. */
const hangsMs = 15_000;

const triesMax = 6;

/** Of the requests that were answered, so many are sent once more. */
const repeatedShare = 0.05;

export interface WorkloadOptions {
  /** Of the services. */
  readonly urls: readonly string[];
  readonly random: Random;
  /** Unix seconds of the first bucket; each writer goes on by a second a request. */
  readonly firstBucket: number;
  readonly clock: () => number;
  readonly signal: AbortSignal;
  readonly onDone: (operation: Operation) => void;
}

/** Writes and reads until the signal; resolves when all have ended. */
export async function runWorkload(options: WorkloadOptions): Promise<void> {
  await Promise.all([
    ...Array.from({ length: writers }, (_, index) => keepWriting(index, options)),
    ...Array.from({ length: readers }, (_, index) => keepReading(index % options.urls.length, options)),
  ]);
}

async function keepWriting(writer: number, options: WorkloadOptions): Promise<void> {
  const { random, signal, onDone, firstBucket } = options;
  let bucket = firstBucket;
  while (!signal.aborted) {
    const summaries = Array.from({ length: random.next() < 0.8 ? 1 : 5 }, (_, index) =>
      summaryOf(writer, bucket + index),
    );
    bucket += summaries.length;
    onDone({ type: 'write', summaries, tries: await writeUntilAnswered(summaries, options) });
    await sleep(random.below(2 * writePauseMs));
  }
}

/** Two writers share a series, and tell by their counts. */
function summaryOf(writer: number, bucket: number): Sent {
  const name = `torture.${writer >> 1}`;
  const count = 1 + (writer & 1);
  return { name, bucket, count, value: Math.sin(bucket * 31 + writer) };
}

async function writeUntilAnswered(summaries: readonly Sent[], options: WorkloadOptions): Promise<Try[]> {
  const { random, urls } = options;
  const key = randomUUID();
  const tries: Try[] = [];
  const isAcknowledged = () => tries.at(-1)?.status === 201;
  do {
    tries.push(await tryToWrite(summaries, key, random.below(urls.length), options));
    if (!isAcknowledged()) await sleep(200);
  } while (!isAcknowledged() && tries.length < triesMax);
  if (isAcknowledged() && random.next() < repeatedShare) {
    tries.push(await tryToWrite(summaries, key, random.below(urls.length), options));
  }
  return tries;
}

async function tryToWrite(
  summaries: readonly Sent[],
  key: string,
  service: number,
  { urls, clock }: WorkloadOptions,
): Promise<Try> {
  const body = JSON.stringify(
    summaries.map((summary) => ({ name: summary.name, bucket: summary.bucket, ...statisticsOf(summary) })),
  );
  const end = begin(service, clock);
  try {
    const response = await fetch(`${urls[service]}/metrics`, {
      method: 'POST',
      body,
      headers: { 'Idempotency-Key': key },
      signal: AbortSignal.timeout(hangsMs),
    });
    await response.text();
    return { ...end(), status: response.status };
  } catch {
    return { ...end(), status: undefined };
  }
}

/** @returns What tells how long the request took that begins now. */
function begin(service: number, clock: () => number): () => Omit<Try, 'status'> {
  const beganMs = clock();
  const stalledBefore = stalledMs();
  return () => ({ service, beganMs, endedMs: clock(), stalledMs: stalledMs() - stalledBefore });
}

/** Always of one service: of so few readers each, none has to wait for its turn. */
async function keepReading(service: number, options: WorkloadOptions): Promise<void> {
  const { random, signal, onDone } = options;
  while (!signal.aborted) {
    onDone(await readOnce(service, `torture.${random.below(writers / 2)}`, options));
    await sleep(random.below(2 * readPauseMs));
  }
}

/** Reads one series by the second, from its begin. */
export async function readOnce(
  service: number,
  name: string,
  { urls, clock, firstBucket }: Pick<WorkloadOptions, 'urls' | 'clock' | 'firstBucket'>,
): Promise<ReadOperation> {
  const asked = { type: 'read', name } as const;
  const end = begin(service, clock);
  const query = new URLSearchParams({
    name: `^${name}$`,
    from: String(firstBucket),
    to: String(firstBucket + readSeconds),
    resolution: 'second',
  });
  try {
    const response = await fetch(`${urls[service]}/metrics?${query}`, { signal: AbortSignal.timeout(hangsMs) });
    const answer: unknown = await response.json();
    // What is not 200 is a problem, and no list.
    const [series] = (response.ok ? answer : []) as [{ count: { bucket: number; value: number }[] }?];
    const counts = new Map(series?.count?.map(({ bucket, value }) => [bucket, value]));
    const isComplete = response.headers.get('M2pg-Complete') === 'true';
    const databases = (response.headers.get('M2pg-Databases') ?? '').split('=ok').length - 1;
    return { ...asked, ...end(), status: response.status, isComplete, databases, counts };
  } catch {
    return { ...asked, ...end(), status: undefined, isComplete: false, databases: 0, counts: new Map() };
  }
}
