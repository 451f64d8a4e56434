/**
 * What must never be, found in the history and in what the databases hold in the end; in the manner of Jepsen's checkers
 * of sets. Each finding is a sentence.
 */
import { statisticNames } from '../src/domain/summary.ts';
import {
  acknowledgedMs,
  type Burn,
  type Content,
  type FaultOperation,
  keyOf,
  type Operation,
  type ReadOperation,
  type Sent,
  statisticsOf,
  type Try,
  type Usage,
  type WriteOperation,
} from './history.ts';

export interface Evidence {
  readonly history: readonly Operation[];
  /** Of each database, in the end. */
  readonly contents: readonly Content[];
  readonly writeAcks: number;
}

export interface Limits {
  /** Of a try to write, with what the machine of the experiment may add. */
  readonly writeMs: number;
  /** Of a read, likewise. */
  readonly readMs: number;
  readonly rssMb: number;
  readonly sockets: number;
}

/** After a fault was healed, a database may need so long to be in use again. */
const graceMs = 6_000;

/** What refuses us, or has no room, is tried ever more rarely, every quarter of a minute and a quarter more at last. */
const stubbornGraceMs = 20_000;
const stubborn: readonly string[] = ['role-locked-out', 'disk-full'];

const graceMsAfter = ({ fault }: FaultOperation) => (stubborn.includes(fault) ? stubbornGraceMs : graceMs);

/** Where the machine itself stands still so long, a timeout is nobody's fault. */
const stalledMsMax = 500;

/** The share of requests that may fail although enough databases were as they should be. */
const unavailableMax = 0.001;

const writesOf = ({ history }: Evidence) => history.filter((one): one is WriteOperation => one.type === 'write');
const triesOf = (evidence: Evidence) => writesOf(evidence).flatMap(({ tries }) => tries);
const readsOf = ({ history }: Evidence) => history.filter((one): one is ReadOperation => one.type === 'read');
const faultsOf = ({ history }: Evidence) => history.filter((one): one is FaultOperation => one.type === 'fault');
const usagesOf = ({ history }: Evidence) => history.filter((one): one is Usage => one.type === 'usage');

/** Acknowledged, and in no database. */
export function findLost(evidence: Evidence): string[] {
  const held = new Set(evidence.contents.flatMap((content) => [...content.values()].map(keyOf)));
  return writesOf(evidence)
    .filter((write) => acknowledgedMs(write) !== undefined)
    .flatMap(({ summaries }) => summaries.filter((summary) => !held.has(keyOf(summary))))
    .map((summary) => `${keyOf(summary)} was acknowledged and is in no database`);
}

/** In a database, and never sent; or with other content than was sent. */
export function findForeign(evidence: Evidence): string[] {
  const sent = new Map(
    writesOf(evidence).flatMap(({ summaries }) => summaries.map((one) => [keyOf(one), one] as const)),
  );
  return evidence.contents.flatMap((content, database) =>
    [...content.values()].flatMap((held) => {
      const original = sent.get(keyOf(held));
      if (original === undefined) return [`${keyOf(held)} in db${database + 1} was never sent`];
      const statistics = statisticsOf(original);
      return statisticNames
        .filter((name) => held[name] !== statistics[name])
        .map(
          (name) =>
            `${keyOf(held)} in db${database + 1}: its ${name} is ${held[name]}, and was sent as ${statistics[name]}`,
        );
    }),
  );
}

/** Databases that hold different ids in the end. */
export function findDiverged({ contents }: Evidence): string[] {
  const all = new Set(contents.flatMap((content) => [...content.keys()]));
  return contents.flatMap((content, database) => {
    const missing = [...all].filter((id) => !content.has(id)).length;
    return missing === 0 ? [] : [`db${database + 1} lacks ${missing} of ${all.size} summaries`];
  });
}

/** One summary under several ids, or counted more than once by a read. */
export function findDoubled(evidence: Evidence): string[] {
  const idsOf = new Map<string, Set<string>>();
  for (const [id, summary] of evidence.contents.flatMap((content) => [...content])) {
    idsOf.set(keyOf(summary), (idsOf.get(keyOf(summary)) ?? new Set()).add(id));
  }
  const stored = [...idsOf].filter(([, ids]) => ids.size > 1).map(([key]) => `${key} is stored more than once`);
  const mask = maskOf(writesOf(evidence).flatMap(({ summaries }) => summaries));
  const read = readsOf(evidence).flatMap(({ name, counts, beganMs }) =>
    [...counts]
      .filter(([bucket, count]) => (count & ~(mask.get(`${name} ${bucket}`) ?? 0)) !== 0)
      .map(([bucket, count]) => `a read at ${beganMs} ms counted ${count} of ${name} ${bucket}`),
  );
  return [...stored, ...read];
}

/** By name and bucket: the sum of the counts that were sent. */
function maskOf(summaries: readonly Sent[]): Map<string, number> {
  const mask = new Map<string, number>();
  for (const { name, bucket, count } of summaries)
    mask.set(`${name} ${bucket}`, (mask.get(`${name} ${bucket}`) ?? 0) | count);
  return mask;
}

/**
 * A read that called itself complete and misses what was acknowledged before it began; or that could have, having had
 * answers from so few databases that an acknowledged summary may be in none of them.
 */
export function findFalselyComplete(evidence: Evidence): string[] {
  const missedBy = createMissedBy(evidence);
  const enough = evidence.contents.length - evidence.writeAcks + 1;
  return readsOf(evidence)
    .filter(({ status, isComplete }) => status === 200 && isComplete)
    .flatMap((read) => [
      ...(read.databases < enough ? [`a read at ${read.beganMs} ms said complete of ${read.databases} databases`] : []),
      ...missedBy(read).map((summary) => `a read at ${read.beganMs} ms said complete and misses ${keyOf(summary)}`),
    ]);
}

/** @returns What tells the summaries that were acknowledged before a read of their series began, and are not in it. */
function createMissedBy(evidence: Evidence): (read: ReadOperation) => Sent[] {
  const acknowledged = writesOf(evidence).flatMap((write) => {
    const atMs = acknowledgedMs(write);
    return atMs === undefined ? [] : write.summaries.map((summary) => ({ summary, atMs }));
  });
  const byName = Map.groupBy(acknowledged, ({ summary }) => summary.name);
  return ({ name, beganMs, counts }) =>
    (byName.get(name) ?? [])
      .filter(({ summary, atMs }) => atMs < beganMs && ((counts.get(summary.bucket) ?? 0) & summary.count) === 0)
      .map(({ summary }) => summary);
}

/** A read after a database was burnt that fails or misses anything: the others hold everything, whatever they say. */
export function findBurnt(evidence: Evidence): string[] {
  const burns = evidence.history.filter((one): one is Burn => one.type === 'burn');
  const missedBy = createMissedBy(evidence);
  return burns.flatMap(({ target, atMs }) =>
    readsOf(evidence)
      .filter(({ beganMs }) => beganMs >= atMs)
      .flatMap((read) => [
        ...(read.status === 200 ? [] : [`without ${target}, a read of ${read.name} was answered ${read.status}`]),
        ...missedBy(read).map((summary) => `without ${target}, a read misses ${keyOf(summary)}`),
      ]),
  );
}

/** Requests that failed although enough databases, and the service that was asked, were as they should be. */
export function findUnavailable(evidence: Evidence): string[] {
  const failedOf = (what: string, expected: readonly Try[], success: number) => {
    const failed = expected.filter(({ status }) => status !== success);
    if (failed.length <= expected.length * unavailableMax) return [];
    return [
      `${failed.length} of ${expected.length} ${what} failed although they could not be expected to`,
      ...failed.map(
        ({ beganMs, endedMs, service, status }) =>
          `of ${what}, service${service + 1} answered ${status} from ${Math.round(beganMs)} to ${Math.round(endedMs)} ms`,
      ),
    ];
  };
  const { writes, reads } = expectedOf(evidence);
  return [...failedOf('tries to write', writes, 201), ...failedOf('reads', reads, 200)];
}

/** The requests that nothing excuses: a write that as many databases could take as it needs, a read that one could answer. */
export function expectedOf(evidence: Evidence): { readonly writes: readonly Try[]; readonly reads: readonly Try[] } {
  const faults = faultsOf(evidence);
  const databases = evidence.contents.length;
  return {
    writes: triesOf(evidence).filter((one) => databases - countHit(one, faults) >= evidence.writeAcks),
    reads: readsOf(evidence).filter((one) => databases - countHit(one, faults) >= 1),
  };
}

/** How many databases were out during a request, or of late; all of them where it is for other reasons that it may fail. */
function countHit({ service, beganMs, endedMs, stalledMs }: Try, faults: readonly FaultOperation[]): number {
  const near = faults.filter((fault) => fault.beganMs <= endedMs && fault.endedMs + graceMsAfter(fault) >= beganMs);
  const databases = new Set(near.filter(({ target }) => target.startsWith('db')).map(({ target }) => target));
  const isServiceHit = near.some(({ target }) => target === `service${service + 1}`);
  return isServiceHit || stalledMs > stalledMsMax ? Number.POSITIVE_INFINITY : databases.size;
}

/** What took too long, or too much. */
export function findOverBounds(evidence: Evidence, { writeMs, readMs, rssMb, sockets }: Limits): string[] {
  const slowOf = (what: string, requests: readonly Try[], limitMs: number) =>
    requests
      .filter(({ beganMs, endedMs, stalledMs }) => endedMs - beganMs - stalledMs > limitMs)
      .map(
        ({ beganMs, endedMs, service }) =>
          `a ${what} by service${service + 1} at ${beganMs} ms took ${Math.round(endedMs - beganMs)} ms`,
      );
  const large = usagesOf(evidence)
    .filter((usage) => usage.rssMb > rssMb || usage.sockets > sockets)
    .map(
      ({ service, atMs, rssMb, sockets }) =>
        `service${service + 1} had ${Math.round(rssMb)} MB and ${sockets} files open at ${atMs} ms`,
    );
  return [...slowOf('write', triesOf(evidence), writeMs), ...slowOf('read', readsOf(evidence), readMs), ...large];
}

/** All of them, by name. */
export function check(evidence: Evidence, limits: Limits): ReadonlyMap<string, readonly string[]> {
  return new Map([
    ['lost', findLost(evidence)],
    ['unexpected or corrupt', findForeign(evidence)],
    ['diverged', findDiverged(evidence)],
    ['double-counted', findDoubled(evidence)],
    ['falsely complete', findFalselyComplete(evidence)],
    ['burnt', findBurnt(evidence)],
    ['unavailable', findUnavailable(evidence)],
    ['over bounds', findOverBounds(evidence, limits)],
  ]);
}
