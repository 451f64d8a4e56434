/**
 * The body of a log drain as summaries: one of each metric and bucket that the lines speak of. Nothing is kept from one
 * request to the next, so that nothing that was answered for lives in the memory of a process.
 */
import { createHash, hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { aheadSecondsMax, parseInstant } from '../../../domain/instant.ts';
import { type Kind, summarize } from '../../../domain/summarize.ts';
import type { Summary } from '../../../domain/summary.ts';
import { summaryIds, timedId } from '../../../domain/summary-id.ts';
import { type Dropped, droppedIn } from './dropped.ts';
import { type BrokenPair, type Prefixes, valuesOf } from './observations.ts';
import { type LogLine, linesOf } from './syslog-frames.ts';

/** A few milliseconds of work; then others have their turn. */
const linesAtOnce = 1_000;

/** Enough to see what is wrong. */
const brokenListed = 10;

/** A clock that stands before was never set. */
const earliest = Date.UTC(2000) / 1000;

export interface ReceiveLogsOptions extends Prefixes {
  /** Of the buckets, whole seconds. */
  readonly resolution: number;
  /** What names the batch, whenever it is sent; undefined: nothing does. */
  readonly batch: string | undefined;
  /** Unix seconds. */
  readonly now: number;
  /** Older data is passed over: it would be dropped at once. Unix seconds. */
  readonly oldest: number;
}

/** What a body holds. */
export interface ReceivedLogs {
  readonly summaries: readonly Summary[];
  readonly lines: number;
  readonly values: number;
  readonly dropped: readonly Dropped[];
  /** How many frames and pairs are broken, and the first of them. */
  readonly broken: number;
  readonly brokenFirst: readonly BrokenPair[];
}

/** The values of one metric in one bucket. */
interface Gathered {
  readonly kind: Kind;
  readonly name: string;
  readonly bucket: number;
  readonly values: number[];
  units: string | undefined;
  /** When the last of them was logged, Unix seconds; the bucket where that is not known. */
  time: number;
}

/** Reads all lines of a body, whatever is wrong with some of them. */
export async function receiveLogs(body: Uint8Array, options: ReceiveLogsOptions): Promise<ReceivedLogs> {
  const gathered = new Map<string, Gathered>();
  const dropped: Dropped[] = [];
  const brokenFirst: BrokenPair[] = [];
  // Not of the body: log-shuttle reports what it has lost anew each time that it delivers a batch.
  const said = createHash('sha256').update(options.batch ?? '');
  let [lines, values, broken] = [0, 0, 0];
  const noteBroken = (found: BrokenPair) => {
    broken += 1;
    if (brokenFirst.length < brokenListed) brokenFirst.push(found);
  };
  for (const line of linesOf(body)) {
    lines += 1;
    if (lines % linesAtOnce === 0) await nextTurn();
    if ('problem' in line) {
      noteBroken(line);
      continue;
    }
    const lost = droppedIn(line);
    if (lost) {
      dropped.push(lost);
      continue;
    }
    said.update(`\n${line.time} ${line.procid} ${line.message}`);
    for (const found of valuesOf(line, options)) {
      if ('problem' in found) noteBroken(found);
      else values += gather(gathered, found, line, options);
    }
  }
  return { summaries: toSummaries(gathered, said.digest(), options), lines, values, dropped, broken, brokenFirst };
}

/** @returns How many values were added: none of what is too old. */
function gather(
  gathered: Map<string, Gathered>,
  { kind, name, value, units }: { kind: Kind; name: string; value: number; units: string | undefined },
  line: LogLine,
  { resolution, now, oldest }: ReceiveLogsOptions,
): number {
  const logged = timeOf(line, now);
  const time = logged ?? now;
  const bucket = Math.floor(time / resolution) * resolution;
  if (bucket < oldest) return 0;
  // No name holds a NUL.
  const key = `${kind}\0${bucket}\0${name}`;
  const known = gathered.get(key) ?? { kind, name, bucket, values: [], units, time: bucket };
  gathered.set(key, known);
  known.values.push(value);
  known.units = units ?? known.units;
  if (logged !== undefined) known.time = Math.max(known.time, logged);
  return 1;
}

/** When a line was logged, Unix seconds; undefined where it does not say, or says what cannot be. */
function timeOf({ time }: LogLine, now: number): number | undefined {
  const logged = parseInstant(time);
  return logged !== undefined && logged >= earliest && logged <= now + aheadSecondsMax ? logged : undefined;
}

/**
 * With a batch that has a name, ids are made of that name and of its lines, so that the batch counts once however often it is
 * delivered. They begin with the time of the last value, since of two summaries of a bucket the greater id is the later.
 */
function toSummaries(
  gathered: Map<string, Gathered>,
  lines: Uint8Array,
  { batch, resolution }: ReceiveLogsOptions,
): Summary[] {
  const newId = summaryIds(undefined);
  return [...gathered.values()].map(({ kind, name, bucket, values, units, time }) => {
    const content = { name, bucket, ...summarize(kind, values), ...(units !== undefined && { units }) };
    const said = `${kind}\0${name}\0${bucket}\0${resolution}`;
    const repeatable = () => timedId(time, hash('sha256', Buffer.concat([lines, Buffer.from(said)]), 'buffer'));
    const id = batch === undefined ? newId(content, 0) : repeatable();
    return Object.freeze({ ...content, id });
  });
}
