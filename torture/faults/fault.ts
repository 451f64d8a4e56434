import type { Ground } from '../ground.ts';
import type { Need } from '../history.ts';
import type { Random } from '../random.ts';
import type { Condition, Settings } from '../settings.ts';

/** Undoes a fault; may tell what it was, where its name does not tell all. */
export type Heal = (() => Promise<void>) & { readonly detail?: string };

/** Something that can happen to databases, to the network, to services or to clocks; it is begun, lasts, and is healed. */
export interface Fault {
  readonly name: string;
  /** `databases`: all at once. */
  readonly of: 'database' | 'link' | 'databases' | 'service' | 'databases and service' | 'everything';
  /**
   * Data is lost. With WRITE_ACKS=1 a summary may for a moment be in one database only, and what destroys the data of a
   * database would lose it by the hand of the experiment. So those faults are for services that all have WRITE_ACKS=2, alone,
   * and only while the databases are equal: then every acknowledged summary is in another database too.
   */
  readonly isDestructive?: boolean;
  /** It makes the clock of its target wrong. No other clock is wrong meanwhile, and all else may happen. */
  readonly isOfClock?: boolean;
  /** No clock may be wrong meanwhile. */
  readonly needsClocks?: boolean;
  /** The only one that it can happen to; undefined: any. */
  readonly targetOf?: (settings: Settings) => number | undefined;
  /** What its target cannot be expected to do meanwhile; everything when left out. */
  readonly hits?: readonly Need[];
  /** What its target cannot be expected to do at its begin and at its end. */
  readonly edgeHits?: readonly Need[];
  /** How long after its end its target may need to be as before. */
  readonly graceMs?: number;
  /** It can only happen where that is so. */
  readonly condition?: Condition;
  /** Why it cannot happen on this machine; undefined: it can. */
  readonly missing?: (repository: string) => string | undefined | Promise<string | undefined>;
  /**
   * @param target Index of the database or service.
   * @returns Undefined: it cannot happen now.
   */
  begin(ground: Ground, target: number, random: Random): Promise<Heal | undefined>;
}

export const allNeeds: readonly Need[] = ['read', 'write', 'new week', 'new name'];

/** After a fault was healed, a database may need so long to be in use again. */
export const usualGraceMs = 6_000;

/** What refuses us, or has no room, is tried ever more rarely, every quarter of a minute and a quarter more at last. */
export const stubbornGraceMs = 20_000;

const databaseNames = ['db1', 'db2', 'db3'];
const serviceNames = ['service1', 'service2', 'service3'];

/** That of which there is one: the clock that is wrong. */
const theClock = 'clock';

/** Whom it hits. */
export function targetNames({ of }: Pick<Fault, 'of'>, target: number): string[] {
  const service = `service${target + 1}`;
  if (of === 'everything') return [...databaseNames, ...serviceNames];
  if (of === 'databases') return databaseNames;
  if (of === 'databases and service') return [...databaseNames, service];
  return [of === 'service' ? service : `db${target + 1}`];
}

/** What nobody else may hit meanwhile. */
export function takenNames(fault: Fault, target: number): string[] {
  if (fault.isDestructive) return [...databaseNames, ...serviceNames, theClock];
  const isAtClock = fault.isOfClock || fault.needsClocks;
  // A clock is wrong whatever else happens to whom it belongs.
  const names = fault.isOfClock && !fault.needsClocks ? [] : targetNames(fault, target);
  return isAtClock ? [...names, theClock] : names;
}

/** The item of a list that is one a database or service. */
export function at<Item>(items: readonly Item[], target: number): Item {
  const item = items[target];
  if (item === undefined) throw new Error(`BUG: there is no number ${target}`);
  return item;
}
