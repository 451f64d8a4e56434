import { createBackOff } from '../database/back-off.ts';
import type { Database } from '../database/database.ts';
import type { Purpose } from '../database/pools.ts';
import { isRefusalOfWrites, toFailure } from '../domain/failure.ts';
import { createPostgresStore, type PostgresStore, type PostgresStoreOptions } from '../store/postgres-store.ts';

/** One of the databases that are to hold the same summaries. */
export interface Copy {
  /** Whatever the purpose, on the connections of repair; one of `write` that is refused says nothing about reads. */
  readonly database: Database;
  /** Reads and writes it as `repair`, past whatever serves requests. */
  readonly store: PostgresStore;
  /** Whether it can be asked now; it is left alone for a while after a failure. */
  isReadable(): boolean;
  /** Whether what it lacks can be written; then it can be asked as well. */
  isWritable(): boolean;
  /** To be told that all reads went well. */
  noteSuccess(): void;
}

/** Part of time: from the first instant, inclusive, to the last, exclusive; both in Unix seconds. */
export interface Slice {
  readonly from: number;
  readonly until: number;
}

/** A database that fails, or takes no copies, costs the others this often a look at what it lacks. */
const pauses = { firstMs: 2_000, maxMs: 20_000 };

/** Makes a database one that can be repaired, on connections of their own. */
export function createCopy({ database, observe }: PostgresStoreOptions): Copy {
  const backOff = createBackOff(pauses);
  const writeBackOff = createBackOff(pauses);

  const noting = async <Value>(purpose: Purpose, work: Promise<Value>): Promise<Value> => {
    try {
      const value = await work;
      if (purpose === 'write') writeBackOff.noteSuccess();
      return value;
    } catch (error) {
      const failure = toFailure(error);
      // From a database that takes no writes the others can still get what they lack.
      const isOfWrites = failure.code === 'read_only' || isRefusalOfWrites(failure);
      if (purpose === 'write' && isOfWrites) writeBackOff.noteFailure();
      else if (!isMended(failure.code)) backOff.noteFailure();
      throw error;
    }
  };
  const asRepair: Database = {
    ...database,
    checkUsable: () => database.checkUsable('repair'),
    // Weeks and names are made as for all other writes, and a lock on them says nothing about reads.
    query: (purpose, statement) =>
      purpose === 'define' ? database.query(purpose, statement) : noting(purpose, database.query('repair', statement)),
    async open(purpose, statement) {
      const cursor = await noting(purpose, database.open('repair', statement));
      return { read: (rowsMax) => noting(purpose, cursor.read(rowsMax)), close: cursor.close };
    },
  };
  const isIn = (...states: string[]) => states.includes(database.status().state) && backOff.isOver();
  return {
    database: asRepair,
    store: createPostgresStore({ database: asRepair, observe }),
    isReadable: () => isIn('up', 'read_only'),
    isWritable: () => isIn('up') && writeBackOff.isOver(),
    noteSuccess: backOff.noteSuccess,
  };
}

/** What the store mends itself, or what is about single summaries. */
function isMended(code: string): boolean {
  return ['series_missing', 'partition_missing', 'conflict', 'data_refused', 'read_too_large'].includes(code);
}
