/**
 * Locks of operators and of their tools: one holds a lock, by a transaction that is left open. What a lock does not keep from
 * being done must go on, for everybody: whoever waits for it holds nobody else up.
 */
import type { Ground } from '../ground.ts';
import type { Need } from '../history.ts';
import { allNeeds, at, type Fault, type Heal } from './fault.ts';

/** An operator who waits for a lock holds up whoever comes after. */
const lockTimeout = "set lock_timeout = '3s'";

/** The partition that is written to now. */
const currentPartition = 'select tableoid::regclass as name from summaries order by bucket desc limit 1';

type Hold = (run: (text: string) => Promise<Record<string, unknown>[]>) => Promise<unknown>;

interface Lock {
  readonly name: string;
  readonly hold: Hold;
  /** What it keeps from being done. */
  readonly hits: readonly Need[];
}

const locks: readonly Lock[] = [
  {
    // Of an analyze, of a vacuum, of an index that is built concurrently.
    name: 'lock-ddl',
    hold: (run) => run('lock table summaries in share update exclusive mode'),
    hits: ['new week'],
  },
  {
    // Of a long read, such as a dump.
    name: 'lock-read',
    hold: (run) => run('select count(*) from summaries'),
    hits: [],
  },
  {
    name: 'lock-names',
    hold: (run) => run('lock table series in share mode'),
    hits: ['new name'],
  },
  {
    name: 'index-build',
    async hold(run) {
      const [partition] = await run(currentPartition);
      if (partition) await run(`create index on ${partition.name} (count)`);
    },
    hits: ['write', 'new week', 'new name'],
  },
  {
    // Of an index that is made anew, of a table that is rewritten.
    name: 'lock-everything',
    hold: (run) => run('lock table summaries in access exclusive mode'),
    hits: allNeeds,
  },
];

/** Each lock, in one database or several, and in all at once. */
export const lockFaults: readonly Fault[] = locks.flatMap(({ name, hold, hits }): Fault[] => [
  { name, of: 'database', hits, begin: (ground, target) => holdIn(ground, target, hold) },
  {
    name: `${name}-all`,
    of: 'databases',
    hits,
    async begin(ground) {
      const held = await Promise.all(ground.servers.map((_, target) => holdIn(ground, target, hold)));
      const heals = held.filter((heal) => heal !== undefined);
      return heals.length === 0 ? undefined : async () => void (await Promise.all(heals.map((heal) => heal())));
    },
  },
]);

/** @returns Undefined: somebody else holds what is in its way. */
async function holdIn(ground: Ground, target: number, hold: Hold): Promise<Heal | undefined> {
  const operator = await at(ground.servers, target).connect();
  try {
    await operator.query(lockTimeout);
    await operator.query('begin');
    await hold(async (text) => (await operator.query(text)).rows);
  } catch {
    await operator.end();
    return undefined;
  }
  return async () => {
    // A server that has ended meanwhile has let go of it.
    await operator.query('rollback').catch(() => undefined);
    await operator.end().catch(() => undefined);
  };
}
