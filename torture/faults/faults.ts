import { type Condition, conditions, type Settings } from '../settings.ts';
import { clockFaults } from './clocks.ts';
import { dataFaults } from './data.ts';
import { databaseFaults } from './databases.ts';
import type { Fault } from './fault.ts';
import { linkFaults } from './links.ts';
import { lockFaults } from './locks.ts';
import { poolerFaults } from './poolers.ts';
import { serviceFaults } from './services.ts';

export const faults: readonly Fault[] = [
  ...databaseFaults,
  ...linkFaults,
  ...serviceFaults,
  ...poolerFaults,
  ...clockFaults,
  ...lockFaults,
  ...dataFaults,
];

/** What a run is limited to: faults, and conditions that hold for all of it. */
export interface Chosen {
  readonly faults: readonly Fault[];
  /** Undefined: as the seed has it. */
  readonly conditions: readonly Condition[] | undefined;
}

/**
 * Those of some names, with what they need; all when no names are given.
 *
 * @throws Error that lists the names when one is unknown.
 */
export function choose(names: readonly string[] | undefined): Chosen {
  if (names === undefined) return { faults, conditions: undefined };
  const known = [...faults.map(({ name }) => name), ...Object.keys(conditions)];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`unknown: ${unknown.join(', ')}; known: ${known.join(', ')}`);
  const isChosen = ({ name }: Fault) =>
    names.includes(name) || (name === 'older-version' && names.includes('older-version-first'));
  const chosen = faults.filter(isChosen);
  const needed = chosen.flatMap(({ condition }) => condition ?? []);
  const isNeeded = (condition: Condition) => names.includes(condition) || needed.includes(condition);
  return { faults: chosen, conditions: (Object.keys(conditions) as Condition[]).filter(isNeeded) };
}

/** Which of the chosen faults can happen in a run, and why the others cannot. */
export async function possible(
  chosen: readonly Fault[],
  { leastAcks, has }: Settings,
  repository: string,
): Promise<{ readonly faults: readonly Fault[]; readonly leftOut: readonly string[] }> {
  const reasons = await Promise.all(
    chosen.map(async ({ missing, isDestructive, condition }) => {
      if (isDestructive && leastAcks < 2) return 'data is only destroyed where every service has WRITE_ACKS=2';
      if (condition && !has.has(condition)) return `not in this run: ${conditions[condition]}`;
      return missing?.(repository);
    }),
  );
  const byReason = Map.groupBy(
    chosen.filter((_, index) => reasons[index] !== undefined),
    (fault) => reasons[chosen.indexOf(fault)],
  );
  return {
    faults: chosen.filter((_, index) => reasons[index] === undefined),
    leftOut: [...byReason].map(([reason, left]) => `left out ${left.map(({ name }) => name).join(', ')}: ${reason}`),
  };
}
