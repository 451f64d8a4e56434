import { type FaultOperation, type Need, operationsOf, type Try, type Usage } from '../history.ts';
import { type Evidence, leastAcksOf } from './evidence.ts';

/** What a try is allowed. */
export interface Limits {
  /** Of a try to write, with what the machine of the experiment may add. */
  readonly writeMs: number;
  /** Of a read, likewise. */
  readonly readMs: number;
  readonly rssMb: number;
  readonly sockets: number;
}

/** Where the machine itself stands still so long, a timeout is nobody's fault. */
const stalledMsMax = 500;

/** What a service knows of its databases may be wrong for so long after the machine stood still for most of a second or more. */
const stallLastsMs = 3_000;
const severeStallMs = 1_500;

/** By a clock that was wrong, a service may refuse a bucket until it has seen that it is right again. */
const clockLastsMs = 3_000;

/** What is promised for a database that has lost everything, of the size that it has here. */
const filledWithinMs = 60_000;

/** The share of requests that may fail although enough databases were as they should be; of reads, none may. */
const unavailableMax = 0.001;

/** A request that nothing excuses. */
interface Expected {
  readonly what: string;
  readonly request: Try;
}

/** Requests that failed although enough databases, and the service that was asked, were as they should be. */
export function findUnavailable(evidence: Evidence): string[] {
  const { writes, reads, others } = expectedOf(evidence);
  return [
    ...failedOf('tries to write', writes, [201], unavailableMax),
    ...failedOf('reads', reads, [200], 0),
    ...failedOf('deletions, exports and imports', others, [200, 201], unavailableMax),
  ];
}

function failedOf(
  what: string,
  expected: readonly Expected[],
  successes: readonly number[],
  shareMax: number,
): string[] {
  const failed = expected.filter(({ request: { status } }) => status === undefined || !successes.includes(status));
  if (failed.length <= expected.length * shareMax) return [];
  return [
    `${failed.length} of ${expected.length} ${what} failed although they could not be expected to`,
    ...failed.map(
      ({ what, request: { beganMs, endedMs, service, status } }) =>
        `${what}: service${service + 1} answered ${status} from ${Math.round(beganMs)} to ${Math.round(endedMs)} ms`,
    ),
  ];
}

/** The requests that nothing excuses: a write that as many databases could take as it needs, a read that one could answer. */
export function expectedOf(evidence: Evidence): Readonly<Record<'writes' | 'reads' | 'others', readonly Expected[]>> {
  const { history, contents, writeAcks } = evidence;
  const acksOf = ({ service }: Try) => writeAcks[service] ?? leastAcksOf(evidence);
  const canBeDone = (request: Try, needs: readonly Need[], least: number) =>
    contents.length - countHit(request, needs, evidence) >= least;
  const writes = operationsOf(history, 'write').flatMap(({ tries, needs }) =>
    tries
      .filter((one) => canBeDone(one, needs ? ['write', needs] : ['write'], acksOf(one)))
      .filter((one) => !isRefusedByClock(one, evidence))
      .map((request) => ({ what: needs ? `a write of a ${needs}` : 'a write', request })),
  );
  const reads = operationsOf(history, 'read')
    .filter((read) => canBeDone(read, ['read'], 1))
    .map((request) => ({ what: `a read of ${request.name}`, request }));
  // They ask every database, and say so when one does not answer.
  const others = (['delete', 'export', 'import'] as const).flatMap((type) =>
    operationsOf(history, type)
      .filter((request) => canBeDone(request, ['read', 'write'], contents.length))
      // One that was broken off at the end, and one that no service dares to do by clocks that differ.
      .filter((request) => (type === 'delete' ? !isClockWrong(request, evidence) : request.status !== undefined))
      .map((request) => ({ what: `${type} of a metric`, request })),
  );
  return { writes, reads, others };
}

/**
 * How many databases cannot be expected to add to an answer that is complete: those that are out, and those that have lost data
 * until they are filled again.
 */
export function countUnknowing(request: Try, evidence: Evidence): number {
  const filling = operationsOf(evidence.history, 'fault').filter(
    ({ isDestructive, beganMs, endedMs }) =>
      isDestructive && beganMs <= request.endedMs && endedMs + filledWithinMs >= request.beganMs,
  );
  return countHit(request, ['read'], evidence) + new Set(filling.map(({ target }) => target)).size;
}

/** How many databases were out during a request, or of late; all of them where it is for other reasons that it may fail. */
export function countHit(request: Try, needs: readonly Need[], { history }: Evidence): number {
  const { service, stalledMs } = request;
  const near = operationsOf(history, 'fault').filter((fault) => isHitBy(fault, request, needs));
  const databases = new Set(near.filter(({ target }) => target.startsWith('db')).map(({ target }) => target));
  const isServiceHit = near.some(({ target }) => target === `service${service + 1}`);
  const isStalled = stalledMs > stalledMsMax || isAfterStall(request, history);
  return isServiceHit || isStalled ? Number.POSITIVE_INFINITY : databases.size;
}

function isHitBy({ hits, edgeHits, graceMs, ...fault }: FaultOperation, request: Try, needs: readonly Need[]): boolean {
  const isWithin = (fromMs: number, toMs: number) => fromMs <= request.endedMs && toMs + graceMs >= request.beganMs;
  const isOfUse = (list: readonly Need[]) => needs.some((need) => list.includes(need));
  if (isOfUse(hits) && isWithin(fault.beganMs, fault.endedMs)) return true;
  const isAtEdge = [fault.beganMs, fault.endedMs].some((edgeMs) => isWithin(edgeMs, edgeMs));
  return isOfUse(edgeHits) && isAtEdge;
}

function isAfterStall({ beganMs, endedMs }: Try, history: Evidence['history']): boolean {
  const stalls = operationsOf(history, 'stall').filter(
    ({ atMs }) => atMs >= beganMs - stallLastsMs && atMs <= endedMs + 1_000,
  );
  return stalls.reduce((sum, { ms }) => sum + ms, 0) > severeStallMs;
}

function isRefusedByClock(request: Try, evidence: Evidence): boolean {
  return request.status === 422 && isClockWrong(request, evidence, `service${request.service + 1}`);
}

/** @param whose Anybody's when left out. */
function isClockWrong({ beganMs, endedMs }: Try, { history }: Evidence, whose?: string): boolean {
  return operationsOf(history, 'fault').some(
    (fault) =>
      fault.isOfClock &&
      (whose === undefined || fault.target === whose) &&
      fault.beganMs <= endedMs &&
      fault.endedMs + clockLastsMs >= beganMs,
  );
}

/** What took too long, or too much. */
export function findOverBounds({ history }: Evidence, { writeMs, readMs, rssMb, sockets }: Limits): string[] {
  const slowOf = (what: string, requests: readonly Try[], limitMs: number) =>
    requests
      .filter(({ beganMs, endedMs, stalledMs }) => endedMs - beganMs - stalledMs > limitMs)
      .map(
        ({ beganMs, endedMs, service }) =>
          `a ${what} by service${service + 1} at ${Math.round(beganMs)} ms took ${Math.round(endedMs - beganMs)} ms`,
      );
  const isTooLarge = (usage: Usage) => usage.rssMb > rssMb || usage.sockets > sockets;
  const large = operationsOf(history, 'usage')
    .filter(isTooLarge)
    .map(
      ({ service, atMs, rssMb, sockets }) =>
        `service${service + 1} had ${Math.round(rssMb)} MB and ${sockets} files open at ${Math.round(atMs)} ms`,
    );
  const tries = operationsOf(history, 'write').flatMap(({ tries }) => tries);
  return [...slowOf('write', tries, writeMs), ...slowOf('read', operationsOf(history, 'read'), readMs), ...large];
}
