import { operationsOf, type ReadOperation } from '../history.ts';
import { countUnknowing } from './availability.ts';
import { type Evidence, leastAcksOf } from './evidence.ts';
import { isThereDuring, type Life, livesOf } from './lives.ts';

/** What a read or an export of a series has to find. */
type ToBeFound = (name: string, beganMs: number, endedMs: number) => readonly string[];

function createToBeFound({ history }: Evidence): ToBeFound {
  const byName: Map<string, [string, Life][]> = Map.groupBy(livesOf(history), ([, { summary }]) => summary.name);
  return (name, beganMs, endedMs) =>
    (byName.get(name) ?? []).filter(([, life]) => isThereDuring(life, beganMs, endedMs)).map(([key]) => key);
}

/** Which of the summaries that it has to find are not in a read. */
function createMissedBy(evidence: Evidence): (read: ReadOperation) => string[] {
  const toBeFound = createToBeFound(evidence);
  return ({ name, beganMs, endedMs, counts }) =>
    toBeFound(name, beganMs, endedMs).filter((key) => {
      const [bucket, count] = key.split(' ').slice(-2).map(Number);
      return ((counts.get(bucket ?? 0) ?? 0) & (count ?? 0)) === 0;
    });
}

const describe = ({ service, beganMs, name }: ReadOperation) =>
  `a read of ${name} by service${service + 1} at ${Math.round(beganMs)} ms`;

/**
 * A read that called itself complete and misses what was acknowledged before it began; or that could have, having had
 * answers from so few databases that an acknowledged summary may be in none of them; or that has failed. An export, too,
 * that says that nothing is missing. Services of the version before are not held to what they say.
 */
export function findFalselyComplete(evidence: Evidence): string[] {
  const missedBy = createMissedBy(evidence);
  const toBeFound = createToBeFound(evidence);
  const enough = evidence.contents.length - leastAcksOf(evidence) + 1;
  const ofReads = operationsOf(evidence.history, 'read')
    .filter((read) => read.isComplete && !isOfOlder(read, evidence))
    .flatMap((read) => {
      if (read.status !== 200) return [`${describe(read)} was answered ${read.status} and said complete`];
      return [
        ...(read.databases < enough ? [`${describe(read)} said complete of ${read.databases} databases`] : []),
        ...missedBy(read).map((key) => `${describe(read)} said complete and misses ${key}`),
      ];
    });
  const ofExports = operationsOf(evidence.history, 'export')
    .filter(({ status }) => status === 200)
    .flatMap(({ name, beganMs, endedMs, keys }) =>
      toBeFound(name, beganMs, endedMs)
        .filter((key) => !keys.includes(key))
        .map((key) => `an export at ${Math.round(beganMs)} ms said complete and misses ${key}`),
    );
  return [...ofReads, ...ofExports];
}

function isOfOlder({ service, beganMs, endedMs }: ReadOperation, { history }: Evidence): boolean {
  return operationsOf(history, 'fault').some(
    (fault) =>
      fault.fault === 'older-version' &&
      fault.target === `service${service + 1}` &&
      fault.beganMs <= endedMs &&
      fault.endedMs >= beganMs,
  );
}

/** A read that says that it may lack something although enough databases could be read that hold everything. */
export function findFalselyIncomplete(evidence: Evidence): string[] {
  const enough = evidence.contents.length - leastAcksOf(evidence) + 1;
  const burntMs = Math.min(...operationsOf(evidence.history, 'burn').map(({ atMs }) => atMs));
  return operationsOf(evidence.history, 'read')
    .filter(({ status, isComplete, endedMs }) => status === 200 && !isComplete && endedMs < burntMs)
    .filter((read) => evidence.contents.length - countUnknowing(read, evidence) >= enough)
    .map((read) => `${describe(read)} said incomplete of ${read.databases} databases`);
}

/** A read after a database was burnt that fails or misses anything: the others hold everything, whatever they say. */
export function findBurnt(evidence: Evidence): string[] {
  const missedBy = createMissedBy(evidence);
  return operationsOf(evidence.history, 'burn').flatMap(({ target, atMs }) =>
    operationsOf(evidence.history, 'read')
      .filter(({ beganMs }) => beganMs >= atMs)
      .flatMap((read) => [
        ...(read.status === 200 ? [] : [`without ${target}, a read of ${read.name} was answered ${read.status}`]),
        ...missedBy(read).map((key) => `without ${target}, a read misses ${key}`),
      ]),
  );
}
