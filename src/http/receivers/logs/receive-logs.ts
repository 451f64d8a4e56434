/**
 * The body of a log drain as summaries: one of each metric and bucket that the lines speak of. Nothing is kept from one
 * request to the next, so that nothing that was answered for lives in the memory of a process.
 */
import { createHash, hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Failure } from '../../../domain/failure.ts';
import { aheadSecondsMax, parseInstant } from '../../../domain/instant.ts';
import { type Kind, summarize } from '../../../domain/summarize.ts';
import { isUnits, type Summary } from '../../../domain/summary.ts';
import { summaryIds, timedId } from '../../../domain/summary-id.ts';
import { summariesMax } from '../metrics.ts';
import { type Dropped, droppedIn } from './dropped.ts';
import { type BrokenPair, type Prefixes, type Value, valuesOf } from './observations.ts';
import type { Measured } from './parse-value.ts';
import type { SeriesUnits } from './series-units.ts';
import { type LogLine, linesOf } from './syslog-frames.ts';
import { unifyUnits } from './unify-units.ts';

/** A few milliseconds of work, of lines, values and summaries; then others have their turn. */
const workAtOnce = 1_000;

/** Enough to see what is wrong. */
const brokenListed = 10;

/** A clock that stands before was never set: the line is of now, as one without a time is. This is no limit of age. */
const earliest = Date.UTC(2000) / 1000;

export interface ReceiveLogsOptions extends Prefixes {
  /** Of the buckets, whole seconds. */
  readonly resolution: number;
  /** What names the batch, whenever it is sent; undefined: nothing does. */
  readonly batch: string | undefined;
  /** Unix seconds. */
  readonly now: number;
  readonly unitsOf: SeriesUnits;
  /** Older values are not taken, and count as broken. Unix seconds. */
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
  readonly measured: Measured[];
  /** When the last of them was logged, Unix seconds; the bucket where that is not known. */
  time: number;
}

/**
 * Reads all lines of a body, whatever is wrong with some of them.
 *
 * @throws Failure `body_too_large` when it would be more summaries than a write may have.
 */
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
  let work = 0;
  for (const line of linesOf(body)) {
    lines += 1;
    work += 1;
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
      work += 1;
      const problem = gather(gathered, found, line, options);
      if (problem) noteBroken(problem);
      else values += 1;
    }
    if (work < workAtOnce) continue;
    work = 0;
    await nextTurn();
  }
  const refused = await unifyUnits([...gathered.values()], options.unitsOf);
  for (const one of refused) noteBroken(one);
  const summaries = await toSummaries(gathered, said.digest(), options);
  return { summaries, lines, values: values - refused.length, dropped, broken, brokenFirst };
}

/** Adds a value. @returns Why it is not added: it is broken, or too old. */
function gather(
  gathered: Map<string, Gathered>,
  found: Value | BrokenPair,
  line: LogLine,
  { resolution, now, oldest }: ReceiveLogsOptions,
): BrokenPair | undefined {
  if ('problem' in found) return found;
  const { kind, name, value, units } = found;
  const logged = timeOf(line, now);
  const time = logged ?? now;
  const bucket = Math.floor(time / resolution) * resolution;
  if (bucket < oldest) return { problem: 'is older than RETENTION or AGE_MAX allow', text: `${name} at ${line.time}` };
  // No name holds a NUL.
  const key = `${kind}\0${bucket}\0${name}`;
  const known = gathered.get(key) ?? { kind, name, bucket, measured: [], time: bucket };
  gathered.set(key, known);
  if (gathered.size > summariesMax) {
    const message = `a request may be of at most ${summariesMax} metrics and buckets: send it in parts`;
    throw new Failure('body_too_large', message);
  }
  known.measured.push({ value, units });
  if (logged !== undefined) known.time = Math.max(known.time, logged);
  return undefined;
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
async function toSummaries(
  gathered: Map<string, Gathered>,
  lines: Uint8Array,
  { batch, resolution }: ReceiveLogsOptions,
): Promise<Summary[]> {
  const newId = summaryIds(undefined);
  const summaries: Summary[] = [];
  for (const { kind, name, bucket, measured, time } of gathered.values()) {
    if (measured.length === 0) continue;
    if (summaries.length % workAtOnce === workAtOnce - 1) await nextTurn();
    const values = measured.map(({ value }) => value);
    const units = measured.find((one) => one.units !== undefined)?.units;
    const content = {
      name,
      bucket,
      ...summarize(kind, values),
      ...(units !== undefined && isUnits(units) && { units }),
    };
    const said = `${kind}\0${name}\0${bucket}\0${resolution}`;
    const repeatable = () => timedId(time, hash('sha256', Buffer.concat([lines, Buffer.from(said)]), 'buffer'));
    const id = batch === undefined ? newId(content, 0) : repeatable();
    summaries.push(Object.freeze({ ...content, id }));
  }
  return summaries;
}
