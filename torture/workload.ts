import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Deleting, keepDeleting } from './deleting.ts';
import { type Operation, operationsOf, type Sent, type Try, type WriteOperation } from './history.ts';
import type { Random } from './random.ts';
import { type Requesting, readOnce, tryToWrite } from './requests.ts';

const writers = 20;
const readers = 5;

/** Each writer some ten a second at most: the machine is to be busy with faults, not with load. */
const writePauseMs = 90;
const readPauseMs = 400;

/** Of what a database has to make something for; each makes every later statement a little slower. */
const newPauseMs = 1_200;

const triesMax = 6;

/** Of the requests that were answered, so many are sent once more. */
const repeatedShare = 0.05;

const weekSeconds = 604_800;

/** The series that the usual writers write, in turn. */
export const seriesNames = Array.from({ length: writers / 2 }, (_, index) => `torture.${index}`);

export interface WorkloadOptions extends Requesting {
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onDone: (operation: Operation) => void;
  /** How far back a summary may be. */
  readonly weeksBackMax: number;
  /** Undefined: nothing is deleted. */
  readonly deleting: Deleting | undefined;
}

/** Writes and reads until the signal, each writer going on by a second a request; resolves when all have ended. */
export async function runWorkload(options: WorkloadOptions): Promise<void> {
  const { deleting, urls } = options;
  await Promise.all([
    ...Array.from({ length: writers }, (_, index) => keepWriting(index, options)),
    ...Array.from({ length: readers }, (_, index) => keepReading(index % urls.length, options)),
    keepWritingNewWeeks(options),
    keepWritingNewNames(options),
    ...(deleting ? [0, 1].map((index) => keepDeleting(index, { ...options, ...deleting })) : []),
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
    onDone(await writeUntilAnswered(summaries, options));
    await sleep(random.below(2 * writePauseMs));
  }
}

/** Two writers share a series, and tell by their counts. */
function summaryOf(writer: number, bucket: number): Sent {
  const name = `torture.${writer >> 1}`;
  const count = 1 + (writer & 1);
  return { name, bucket, count, value: Math.sin(bucket * 31 + writer) };
}

/** One summary a week; where all weeks are used, nothing more. */
async function keepWritingNewWeeks(options: WorkloadOptions): Promise<void> {
  const { random, signal, onDone, firstBucket, weeksBackMax } = options;
  // The two latest may be there from the first.
  const weeks = Array.from({ length: weeksBackMax - 2 }, (_, index) => index + 2);
  while (!signal.aborted) {
    const [week] = weeks.splice(random.below(weeks.length), 1);
    if (week === undefined) return;
    const summary = { name: 'torture.weeks', bucket: firstBucket - week * weekSeconds, count: 1, value: week };
    onDone({ ...(await writeUntilAnswered([summary], options)), needs: 'new week' });
    await sleep(random.below(2 * newPauseMs));
  }
}

async function keepWritingNewNames(options: WorkloadOptions): Promise<void> {
  const { random, signal, onDone, firstBucket } = options;
  for (let number = 0; !signal.aborted; number += 1) {
    const summary = { name: `torture.name.${number}`, bucket: firstBucket, count: 1, value: number };
    onDone({ ...(await writeUntilAnswered([summary], options)), needs: 'new name' });
    await sleep(random.below(2 * newPauseMs));
  }
}

/** By one key, of one service or another. */
async function writeUntilAnswered(summaries: readonly Sent[], options: WorkloadOptions): Promise<WriteOperation> {
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
  return { type: 'write', summaries, tries };
}

/** Always of one service: of so few readers each, none has to wait for its turn. */
async function keepReading(service: number, options: WorkloadOptions): Promise<void> {
  const { random, signal, onDone, deleting } = options;
  while (!signal.aborted) {
    const deleted = deleting?.names() ?? [];
    const name = deleted.length > 0 && random.next() < 0.2 ? random.pick(deleted) : random.pick(seriesNames);
    onDone(await readOnce(service, name, options));
    await sleep(random.below(2 * readPauseMs));
  }
}

/** The names of all that was written. */
export function namesIn(history: readonly Operation[]): string[] {
  const sent = operationsOf(history, 'write').flatMap(({ summaries }) => summaries);
  return [...new Set(sent.map(({ name }) => name))];
}
