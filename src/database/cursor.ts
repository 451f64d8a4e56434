/**
 * The rows of a statement, fetched page by page, for as long as they are asked for.
 *
 * The client of an answer decides how long that takes: `server.ts` cuts off clients that take too little, and nothing here limits
 * the total time. The trade: while a cursor is open, vacuum keeps every row that was deleted since it was opened, a connection
 * for reads is in use, and weeks are neither packed nor dropped (both are tried again later). The alternative, to
 * read everything into memory or a file first, is not bounded at all, or needs a disk.
 */
import type { PoolClient } from 'pg';
import type { ConnectionPool } from './connection-pool.ts';
import type { Statement } from './pools.ts';
import { isReportedByServer } from './sqlstate.ts';

/** When a cursor ends although nobody has closed it. */
export interface CursorTimes {
  /** After this time without a read, we close it: the reader is gone without closing it. */
  readonly idleMs: number;
  /** Between reads we send a query this often, so that neither the server nor the network in between takes us for gone. */
  readonly callEveryMs: number;
  /** After this time without a query, the server closes it. */
  readonly silentMs: number;
}

/**
 * The slowest client that is not cut off takes half an hour for what the service may hold of an answer: some 50,000 groups with
 * twenty percentiles each. Networks drop silent connections after some minutes, a few of them after one.
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
