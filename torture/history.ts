/**
 * What happened, as those outside saw it: the only thing that checkers look at. Times in milliseconds since the begin.
 */
import type { Statistics } from '../src/domain/summary.ts';

/**
 * A summary as it was sent. No two have equal name, bucket and count; those of equal name and bucket have counts that are
 * different powers of two, so that their sum tells which of them are in it.
 */
export interface Sent {
  readonly name: string;
  /** Unix seconds. */
  readonly bucket: number;
  readonly count: number;
  /** What its other statistics are made of. */
  readonly value: number;
}

/** The statistics that are sent: no two are equal, so that each can be told from all others. */
export function statisticsOf({ count, value }: Pick<Sent, 'count' | 'value'>): Statistics {
  const others = { mean: value, median: value + 2, min: value + 4, max: value + 6 };
  return { count, ...others, perc95: value + 8, perc99: value + 10, last: value + 12 };
}

/** What tells one summary from all others. */
export function keyOf({ name, bucket, count }: Pick<Sent, 'name' | 'bucket' | 'count'>): string {
  return `${name} ${bucket} ${count}`;
}

/** One request to write, with all of its tries by the same key. */
export interface WriteOperation {
  readonly type: 'write';
  readonly summaries: readonly Sent[];
  readonly tries: readonly Try[];
}

/** One request: a try of a write, or a read. */
export interface Try {
  readonly service: number;
  readonly beganMs: number;
  readonly endedMs: number;
  /** HTTP status; undefined: no answer came, or none that was whole. */
  readonly status: number | undefined;
  /** How long the process that sent it waited for a processor meanwhile, as others of this machine then do. */
  readonly stalledMs: number;
}

/** One read of a series over all of the time of the experiment. */
export interface ReadOperation extends Try {
  readonly type: 'read';
  readonly name: string;
  readonly isComplete: boolean;
  /** How many databases it says to have had an answer from. */
  readonly databases: number;
  /** By bucket in Unix seconds, the count that was read. */
  readonly counts: ReadonlyMap<number, number>;
}

/** A fault, from its begin until it was healed. `target` is db1 … db3, or service1 … service3. */
export interface FaultOperation {
  readonly type: 'fault';
  readonly fault: string;
  readonly target: string;
  readonly beganMs: number;
  readonly endedMs: number;
}

/** What was measured of a service. */
export interface Usage {
  readonly type: 'usage';
  readonly service: number;
  readonly atMs: number;
  readonly rssMb: number;
  readonly sockets: number;
}

/** A database is gone for good; all were equal before. */
export interface Burn {
  readonly type: 'burn';
  readonly target: string;
  readonly atMs: number;
}

/** All of it, in the order of ending. */
export type Operation = WriteOperation | ReadOperation | FaultOperation | Usage | Burn;

/** A summary as a database holds it. */
export type Held = Pick<Sent, 'name' | 'bucket'> & Statistics;

/** What a database holds in the end, by id. */
export type Content = ReadonlyMap<string, Held>;

/** Whether a write was acknowledged, and when. */
export function acknowledgedMs({ tries }: WriteOperation): number | undefined {
  return tries.find(({ status }) => status === 201)?.endedMs;
}
