/**
 * Rows of a statement, fetched by and by, for as long as somebody asks for them.
 *
 * How long that takes is for the client of an answer to decide, which is cut off when it takes too little of it (`server.ts`): no
 * time limit here ends what goes on. The price is paid by the database. As long as the cursor is open, vacuum removes no row that has
 * died since its begin, a connection for reads is taken, and a week can neither be packed nor dropped, which is tried again
 * later. To read all at once into memory, or into a file, would cost more in most cases.
 */
import type { PoolClient } from 'pg';
import type { ConnectionPool } from './connection-pool.ts';
import type { Statement } from './pools.ts';
import { isReportedByServer } from './sqlstate.ts';

/** When a cursor is let go of although nobody has closed it. */
export interface CursorTimes {
  /** Nobody asks for more rows: whoever did is gone, and has not closed it. */
  readonly idleMs: number;
  /** While nobody asks, we tell the server and everything between that we are there. */
  readonly callEveryMs: number;
  /** The server hears nothing of us. */
  readonly silentMs: number;
}

/**
 * A client that takes its answer at the least speed takes half an hour for as much as is held of it: some 50,000 groups with
 * twenty percentiles each. Ways through a network forget a connection that says nothing after a few minutes, some after one.
 */
const usualTimes: CursorTimes = { idleMs: 30 * 60_000, callEveryMs: 20_000, silentMs: 60_000 };

/**
 * A cursor of SQL, not a portal that is suspended between two fetches: of that the server would count the time in which nobody
 * asks, as part of the statement. All rows are wanted, not the first ones soon, as the planner assumes of cursors. When we
 * are gone without a word, the server lets go of it.
 */
const begin = (silentMs: number) => `
  begin read only; set local cursor_tuple_fraction = 1; set local idle_in_transaction_session_timeout = ${silentMs}`;

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
export async function openCursor(
  pool: ConnectionPool,
  { text, values = [] }: Statement,
  { idleMs, callEveryMs, silentMs }: CursorTimes = usualTimes,
): Promise<RowCursor> {
  const client = await pool.take();
  let state: 'open' | 'over' | { readonly failure: unknown } = 'open';
  let isAsked = true;
  const idle = setTimeout(
    () => fail(new Error(`the cursor is closed: it was asked for no row in ${idleMs} ms`)),
    idleMs,
  );
  const calls = setInterval(() => {
    if (!isAsked) client.query('select 1').catch(fail);
  }, callEveryMs);
  for (const timer of [idle, calls]) timer.unref();

  const end = (next: typeof state, isBroken: boolean) => {
    if (state !== 'open') return;
    state = next;
    clearTimeout(idle);
    clearInterval(calls);
    void giveBack(client, isBroken);
  };
  const fail = (failure: unknown) => end({ failure }, !isReportedByServer(failure));

  try {
    await client.query(begin(silentMs));
    await client.query({ text: `declare page no scroll cursor for ${text}`, values });
    isAsked = false;
  } catch (error) {
    fail(error);
    throw error;
  }
  return {
    async read(rowsMax) {
      if (state === 'over') return [];
      if (state !== 'open') throw state.failure;
      isAsked = true;
      try {
        const { rows } = await client.query<unknown[]>({ text: `fetch ${rowsMax} from page`, rowMode: 'array' });
        if (rows.length < rowsMax) end('over', false);
        return rows;
      } catch (error) {
        fail(error);
        throw error;
      } finally {
        isAsked = false;
        idle.refresh();
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
