import { expectedOf } from './checkers/availability.ts';
import type { Evidence } from './checkers/evidence.ts';
import { acknowledgedMs, type FaultOperation, operationsOf, type WriteOperation } from './history.ts';

/** What the experiment measured, a line each. */
export function figuresOf(evidence: Evidence, convergedMs: number | undefined): string[] {
  const { history } = evidence;
  const expected = expectedOf(evidence);
  const writes = operationsOf(history, 'write');
  const faults = operationsOf(history, 'fault');
  const stalledMs = operationsOf(history, 'stall').reduce((sum, { ms }) => sum + ms, 0);
  const tries = writes.flatMap((write) => write.tries);
  const acknowledged = writes.filter((write) => acknowledgedMs(write) !== undefined);
  const stable = latencies(writes, (beganMs, endedMs) => !faults.some((fault) => overlaps(fault, beganMs, endedMs)));
  const kinds = [...new Set(faults.map(({ fault }) => fault))].toSorted();
  return [
    `requests to write: ${writes.length}, acknowledged ${acknowledged.length}, unknown ${writes.length - acknowledged.length}`,
    `to be answered whatever happened: ${expected.writes.length} of ${tries.length} tries to write, ` +
      `${expected.reads.length} of ${operationsOf(history, 'read').length} reads, ` +
      `${expected.others.length} of ${countOthers(evidence)} deletions, exports and imports`,
    `the machine stood still for ${(stalledMs / 1_000).toFixed(1)} s`,
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

function countOthers({ history }: Evidence): number {
  return (['delete', 'export', 'import'] as const).reduce((sum, type) => sum + operationsOf(history, type).length, 0);
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
