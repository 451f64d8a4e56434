/** Small histories for the tests of checkers. */
import type { Evidence } from '../../torture/checkers/evidence.ts';
import { allNeeds, usualGraceMs } from '../../torture/faults/fault.ts';
import {
  type Content,
  type DeleteOperation,
  type FaultOperation,
  type Held,
  type ImportOperation,
  keyOf,
  type Operation,
  type ReadOperation,
  type Sent,
  statisticsOf,
  type Try,
  type WriteOperation,
} from '../../torture/history.ts';

export const sent: Sent = { name: 'a', bucket: 100, count: 1, value: 0.5 };
export const held: Held = { name: sent.name, bucket: sent.bucket, ...statisticsOf(sent) };

/** At one second, for ten milliseconds. */
export const tryOf = (fields: Partial<Try> = {}): Try => ({
  service: 0,
  beganMs: 1_000,
  endedMs: 1_010,
  status: 201,
  stalledMs: 0,
  ...fields,
});

/** Of `sent`. */
export const write = (...tries: readonly Try[]): WriteOperation => ({ type: 'write', summaries: [sent], tries });

/** At two seconds. */
export const read = (counts: readonly [number, number][], fields: Partial<ReadOperation> = {}): Operation => ({
  type: 'read',
  ...tryOf({ beganMs: 2_000, endedMs: 2_010, status: 200 }),
  name: 'a',
  isComplete: true,
  databases: 2,
  counts: new Map(counts),
  ...fields,
});

/** Of everything of `sent`, at some time. */
export const deletion = (beganMs: number, fields: Partial<DeleteOperation> = {}): Operation => ({
  type: 'delete',
  ...tryOf({ beganMs, endedMs: beganMs + 10, status: 200 }),
  name: 'a',
  from: Number.NEGATIVE_INFINITY,
  to: Number.POSITIVE_INFINITY,
  ...fields,
});

export const importAt = (beganMs: number, fields: Partial<ImportOperation> = {}): Operation => ({
  type: 'import',
  ...tryOf({ beganMs, endedMs: beganMs + 10 }),
  summaries: [sent],
  ...fields,
});

export const exportAt = (beganMs: number, summaries: readonly Sent[]): Operation => ({
  type: 'export',
  ...tryOf({ beganMs, endedMs: beganMs + 10, status: 200 }),
  name: 'a',
  keys: summaries.map(keyOf),
});

/** Around the try to write. */
export const fault = (target: string, fields: Partial<FaultOperation> = {}): Operation => ({
  type: 'fault',
  fault: 'kill',
  target,
  beganMs: 900,
  endedMs: 1_100,
  hits: allNeeds,
  edgeHits: [],
  graceMs: usualGraceMs,
  isOfClock: false,
  isDestructive: false,
  ...fields,
});

export const holding = (...summaries: readonly Held[]): Content =>
  new Map(summaries.map((one, index) => [`id${index}`, one]));

/** That of some databases, each of which holds `sent`; two when left out. */
export const evidence = (
  history: readonly Operation[],
  contents: readonly Content[] = [holding(held), holding(held)],
): Evidence => ({ history, contents, writeAcks: [1, 1, 1] });
