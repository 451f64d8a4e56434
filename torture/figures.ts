import { type Evidence, expectedOf } from './checkers.ts';
import { acknowledgedMs, type FaultOperation, type WriteOperation } from './history.ts';

/** What the experiment measured, a line each. */
export function figuresOf(evidence: Evidence, convergedMs: number | undefined): string[] {
  const { history } = evidence;
  const { writes: expectedWrites, reads: expectedReads } = expectedOf(evidence);
  const writes = history.filter((one): one is WriteOperation => one.type === 'write');
  const faults = history.filter((one): one is FaultOperation => one.type === 'fault');
  const acknowledged = writes.filter((write) => acknowledgedMs(write) !== undefined);
  const stable = latencies(writes, (beganMs, endedMs) => !faults.some((fault) => overlaps(fault, beganMs, endedMs)));
  const kinds = [...new Set(faults.map(({ fault }) => fault))].toSorted();
  return [
    `requests to write: ${writes.length}, acknowledged ${acknowledged.length}, unknown ${writes.length - acknowledged.length}`,
    `to be answered whatever happened: ${expectedWrites.length} tries to write, ${expectedReads.length} reads`,
    `databases equal ${convergedMs === undefined ? 'never' : `${(convergedMs / 1_000).toFixed(1)} s`} after the last fault`,
    `latency without a fault: ${describe(stable)}`,
    ...kinds.map((kind) => {
      const during = faults.filter(({ fault }) => fault === kind);
      const measured = latencies(writes, (beganMs, endedMs) =>
        during.some((fault) => overlaps(fault, beganMs, endedMs)),
      );
      return `latency during ${kind} (${during.length}): ${describe(measured)}`;
    }),
  ];
}

function overlaps(fault: FaultOperation, beganMs: number, endedMs: number): boolean {
  return fault.beganMs <= endedMs && fault.endedMs >= beganMs;
}

/** Of the tries that were acknowledged, ascending. */
function latencies(
  writes: readonly WriteOperation[],
  isMeant: (beganMs: number, endedMs: number) => boolean,
): number[] {
  return writes
    .flatMap(({ tries }) => tries)
    .filter(({ status, beganMs, endedMs }) => status === 201 && isMeant(beganMs, endedMs))
    .map(({ beganMs, endedMs }) => endedMs - beganMs)
    .toSorted((a, b) => a - b);
}

function describe(sorted: readonly number[]): string {
  const at = (share: number) =>
    `${(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(0)} ms`;
  return sorted.length === 0 ? 'nothing was acknowledged' : `p50 ${at(0.5)}, p99 ${at(0.99)}, ${sorted.length} writes`;
}
