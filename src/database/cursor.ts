import type { PoolClient } from 'pg';
import type { ConnectionPool } from './connection-pool.ts';
import type { Statement } from './pools.ts';
import { isReportedByServer } from './sqlstate.ts';

/** A client that takes its answer slowly keeps a connection from the others no longer than this. */
const lifeMs = 60_000;

/**
 * A cursor of SQL, not a portal that is suspended between two fetches: of that the server would count the time in which nobody
 * asks, as part of the statement. All rows are wanted, not the first ones soon, as the planner assumes of cursors. When we
 * are gone without a word, the server lets go of it.
 */
const begin = `
  begin read only; set local cursor_tuple_fraction = 1; set local idle_in_transaction_session_timeout = ${lifeMs}`;

/** Rows of a statement, fetched by and by; each fetch has the time of a statement. Holds a connection until it ends. */
export interface RowCursor {
  /**
   * The next rows, as arrays; fewer than asked for, or none: those were the last. Rejects as a statement does, and whenever it
   * has ended before that.
   */
  read(rowsMax: number): Promise<unknown[][]>;
  /** Lets go of the connection. Needless after the last rows or an error, and harmless. */
  close(): Promise<void>;
}

/** Begins a statement whose rows are fetched by and by. Rejects when no connection can be had, and as a statement does. */
export async function openCursor(pool: ConnectionPool, { text, values = [] }: Statement): Promise<RowCursor> {
  const client = await pool.take();
  let state: 'open' | 'over' | { readonly failure: unknown } = 'open';
  const life = setTimeout(() => fail(new Error('the cursor is closed: its rows were taken too slowly')), lifeMs);

  const end = (next: typeof state, isBroken: boolean) => {
    if (state !== 'open') return;
    state = next;
    clearTimeout(life);
    void giveBack(client, isBroken);
  };
  const fail = (failure: unknown) => end({ failure }, !isReportedByServer(failure));

  try {
    await client.query(begin);
    await client.query({ text: `declare page no scroll cursor for ${text}`, values });
  } catch (error) {
    fail(error);
    throw error;
  }
  return {
    async read(rowsMax) {
      if (state === 'over') return [];
      if (state !== 'open') throw state.failure;
      try {
        const { rows } = await client.query<unknown[]>({ text: `fetch ${rowsMax} from page`, rowMode: 'array' });
        if (rows.length < rowsMax) end('over', false);
        return rows;
      } catch (error) {
        fail(error);
        throw error;
      }
    },
    async close() {
      end('over', false);
    },
  };
}

/** Ends its transaction; a connection of which nobody knows how it is, is not used again. */
async function giveBack(client: PoolClient, isBroken: boolean): Promise<void> {
  if (isBroken) return client.release(true);
  await client.query('rollback').then(
    () => client.release(),
    () => client.release(true),
  );
}
