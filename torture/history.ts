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

/**
 * What a request needs of a database. `new week` and `new name`: a write that is the first of its week or its name, for which a
 * database has to make something.
 */
export type Need = 'read' | 'write' | 'new week' | 'new name';

/** One request to write, with all of its tries by the same key. */
export interface WriteOperation {
  readonly type: 'write';
  readonly summaries: readonly Sent[];
  readonly tries: readonly Try[];
  /** Besides `write`. */
  readonly needs?: 'new week' | 'new name';
}

/** One request: a try of a write, or a read. */
export interface Try {
  readonly service: number;
  readonly beganMs: number;
  readonly endedMs: number;
  /** HTTP status; undefined: no answer came, or none that was whole. Of a command, 200 or 201 when it succeeded, else 503. */
  readonly status: number | undefined;
  /** How long the machine kept those who took part from working meanwhile. */
  readonly stalledMs: number;
}

/** One read of a series over all of the time of the experiment. */
export interface ReadOperation extends Try {
  readonly type: 'read';
  readonly name: string;
  /** What its header says, whatever its status. */
  readonly isComplete: boolean;
  /** How many databases it says to have had an answer from. */
  readonly databases: number;
  /** By bucket in Unix seconds, the count that was read. */
  readonly counts: ReadonlyMap<number, number>;
}

/** The deletion of one metric, or of part of its time: inclusive, in Unix seconds. */
export interface DeleteOperation extends Try {
  readonly type: 'delete';
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** `m2pg import` of what was exported before. */
export interface ImportOperation extends Try {
  readonly type: 'import';
  readonly summaries: readonly Sent[];
}

/** `m2pg export` of one metric. Successful: it says that nothing is missing. */
export interface ExportOperation extends Try {
  readonly type: 'export';
  readonly name: string;
  readonly keys: readonly string[];
}

/** A fault, from its begin until it was healed. `target` is db1 … db3, or service1 … service3. */
export interface FaultOperation {
  readonly type: 'fault';
  readonly fault: string;
  /** What its name does not tell. */
  readonly detail?: string | undefined;
  readonly target: string;
  readonly beganMs: number;
  readonly endedMs: number;
  /** What its target cannot be expected to do while it lasts, and for a while after. */
  readonly hits: readonly Need[];
  /** What its target cannot be expected to do when it begins and when it is healed. */
  readonly edgeHits: readonly Need[];
  /** How long after its end its target may need to be as before. */
  readonly graceMs: number;
  /** The clock of its target is wrong, and by it a service may refuse a bucket. */
  readonly isOfClock: boolean;
  /** Its target may have lost data, which it gets from the others. */
  readonly isDestructive: boolean;
}

/** What was measured of a service. */
export interface Usage {
  readonly type: 'usage';
  readonly service: number;
  readonly atMs: number;
  readonly rssMb: number;
  readonly sockets: number;
}

/** A second in which the machine kept processes from working for a good part of it. */
export interface Stall {
  readonly type: 'stall';
  readonly atMs: number;
  readonly ms: number;
}

/** A database is gone for good; all were equal before. */
export interface Burn {
  readonly type: 'burn';
  readonly target: string;
  readonly atMs: number;
}

/** All of it, in the order of ending. */
export type Operation =
  | WriteOperation
  | ReadOperation
  | DeleteOperation
  | ImportOperation
  | ExportOperation
  | FaultOperation
  | Usage
  | Stall
  | Burn;

type OfType<Type extends Operation['type']> = Extract<Operation, { type: Type }>;

/** Of each history, at a length that it had. */
const sorted = new WeakMap<readonly Operation[], { length: number; byType: Map<string, Operation[]> }>();

/** The operations of one type, in their order. */
export function operationsOf<Type extends Operation['type']>(
  history: readonly Operation[],
  type: Type,
): readonly OfType<Type>[] {
  const known = sorted.get(history);
  const isCurrent = known?.length === history.length;
  const current = isCurrent ? known : { length: history.length, byType: Map.groupBy(history, (one) => one.type) };
  if (!isCurrent) sorted.set(history, current);
  return (current.byType.get(type) ?? []) as OfType<Type>[];
}

/** A summary as a database holds it. */
export type Held = Pick<Sent, 'name' | 'bucket'> & Statistics;

/** What a database holds in the end, by id. */
export type Content = ReadonlyMap<string, Held>;

/** Whether a write was acknowledged, and when. */
export function acknowledgedMs({ tries }: WriteOperation): number | undefined {
  return tries.find(({ status }) => status === 201)?.endedMs;
}
