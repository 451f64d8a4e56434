import { createBackOff } from '../database/back-off.ts';
import type { Database } from '../database/database.ts';
import { toFailure } from '../domain/failure.ts';
import type { Store } from '../domain/store.ts';
import { createPostgresStore, type PostgresStoreOptions } from '../store/postgres-store.ts';

/** One of the databases that are to hold the same summaries. */
export interface Copy {
  readonly database: Database;
  /** Reads and writes it as `repair`, past whatever serves requests. */
  readonly store: Store;
  /** Whether it can be asked now; it is left alone for a while after a failure. */
  isReadable(): boolean;
  /** Whether what it lacks can be written. */
  isWritable(): boolean;
  /** To be told that all went well. */
  noteSuccess(): void;
}

/** Part of time: from the first instant, inclusive, to the last, exclusive; both in Unix seconds. */
export interface Slice {
  readonly from: number;
  readonly until: number;
}

/** A database that takes no copies costs the others this often a look at what it lacks. */
const pauses = { firstMs: 2_000, maxMs: 20_000 };

/** Makes a database one that can be repaired, on connections of their own. */
export function createCopy({ database, observe }: PostgresStoreOptions): Copy {
  const backOff = createBackOff(pauses);

  const noting = async <Value>(work: Promise<Value>): Promise<Value> => {
    try {
      return await work;
    } catch (error) {
      if (!isMended(toFailure(error).code)) backOff.noteFailure();
      throw error;
    }
  };
  const asRepair: Database = {
    ...database,
    checkUsable: () => database.checkUsable('repair'),
    query: (_, statement) => noting(database.query('repair', statement)),
    async open(_, statement) {
      const cursor = await noting(database.open('repair', statement));
      return { read: (rowsMax) => noting(cursor.read(rowsMax)), close: cursor.close };
    },
  };
  const isIn = (...states: string[]) => states.includes(database.status().state) && backOff.isOver();
  return {
    database: asRepair,
    store: createPostgresStore({ database: asRepair, observe }),
    isReadable: () => isIn('up', 'read_only'),
    isWritable: () => isIn('up'),
    noteSuccess: backOff.noteSuccess,
  };
}

/** What the store mends itself, or what is about single summaries. */
function isMended(code: string): boolean {
  return ['series_missing', 'partition_missing', 'conflict', 'data_refused', 'read_too_large'].includes(code);
}
