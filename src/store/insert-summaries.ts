/**
 * Stores summaries with the instant at which each was received, by the clock of the database: that decides whether a deletion
 * covers it (`migrations/0013_arrivals.sql`).
 *
 * 1. Nearly always all summaries of a batch were received moments ago. One instant, that of the last, stands for all: what came
 *    before a deletion stays before it, since a deletion waits for longer than that before it draws its line (`deletions.ts`).
 *    The instant follows from the last look at the database's clock, so a server or a network that holds the statement up does
 *    not make it later; held up for seconds, it stores nothing.
 * 2. Else the database is asked for its clock, and each summary has its own instant. What a deletion covers that came
 *    meanwhile is left out.
 * 3. When something is stored already, or a race is lost, the same again, and what is stored counts as received again.
 */
import { microsecondsOf } from '../database/binary-array.ts';
import type { ClockReading } from '../database/clocks.ts';
import type { Database } from '../database/database.ts';
import type { Run } from '../database/deletions.ts';
import { instantsAt, readClock } from '../database/moments.ts';
import { toFailure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';
import { type Arrivals, insertOf, isTooLate } from './insert-statements.ts';

/** Stored already in part, and races lost; whoever still fails then has another reason. */
const attemptsMax = 5;

/** Between the first and the last of a batch that count as received together. A deletion waits for more than twice as long. */
const spreadMsMax = 100;

/** Older ones may be covered by a deletion that came after them. */
const promptMs = 2_000;

/** From when it is sent. A deletion is applied again for longer than this, `promptMs` and a wait for locks together. */
const lateSeconds = 3;

/** Summaries that were received together. */
export interface Received {
  readonly summaries: readonly Summary[];
  /** By `performance.now()`; minus infinity: nobody knows. */
  readonly receivedAtMs: number;
  /** Deletions that cover none of them, as the caller knows. */
  readonly judged?: readonly string[];
}

/** Rows of units to be noted. */
type UnitsRows = readonly { readonly name: string; readonly units: string }[];

/**
 * Creates what stores summaries in one database: of those that no deletion covers, all or none. It gives the units that the
 * dictionary has not, and rejects with the Failure of the database.
 */
export function createInsert(database: Database): (received: readonly Received[]) => Promise<UnitsRows> {
  const run: Run = (text, values = []) => database.query('write', { text, values });

  const carefulStatement = async (mode: 'waited' | 'again', received: readonly Received[]) => {
    const clock = await readClock(run);
    const rows = received.flatMap(({ summaries, receivedAtMs }) => {
      const [, arrived] = instantsAt(clock, receivedAtMs);
      return summaries.map((summary) => ({ summary, arrived }));
    });
    const given = mode === 'again' ? distinctInOrder(rows) : rows;
    const arrived = given.map((row) => row.arrived);
    return insertOf(
      given.map(({ summary }) => summary),
      { mode, arrived, judged: judgedFor(received) },
    );
  };

  /** Gives how to go on where it stored nothing. */
  const insertPromptly = async (received: readonly Received[]): Promise<UnitsRows | 'waited' | 'again'> => {
    const arrivals = promptArrivals(database.clock(), received);
    if (arrivals === undefined) return 'waited';
    try {
      const result = await database.query('write', insertOf(summariesOf(received), arrivals));
      return isTooLate(result) ? 'waited' : result.rows;
    } catch (error) {
      if (isConflict(error)) return 'again';
      throw error;
    }
  };

  return async (received) => {
    let next = await insertPromptly(received);
    for (let attempt = 2; typeof next === 'string'; attempt += 1) {
      try {
        next = (await database.query('write', await carefulStatement(next, received))).rows;
      } catch (error) {
        if (!isConflict(error) || attempt === attemptsMax) throw error;
        next = 'again';
      }
    }
    return next;
  };
}

function isConflict(error: unknown): boolean {
  return toFailure(error).code === 'conflict';
}

/** Undefined: they were not received moments ago and nearly together, or nobody knows when by the database's clock. */
function promptArrivals(clock: ClockReading | undefined, received: readonly Received[]): Arrivals | undefined {
  const nowMs = performance.now();
  let [firstMs, lastMs] = [nowMs, Number.NEGATIVE_INFINITY];
  for (const { receivedAtMs } of received) {
    firstMs = Math.min(firstMs, receivedAtMs);
    lastMs = Math.max(lastMs, receivedAtMs);
  }
  if (clock === undefined || nowMs - firstMs > promptMs || lastMs - firstMs > spreadMsMax) return undefined;
  const [[, arrived], [, sent]] = [instantsAt(clock, lastMs), instantsAt(clock, nowMs)];
  return { mode: 'prompt', arrived, until: sent + lateSeconds };
}

/** None where they come from different callers. */
function judgedFor(received: readonly Received[]): readonly string[] {
  const judged = received[0]?.judged ?? [];
  return received.every((one) => one.judged === judged) ? judged : [];
}

function summariesOf(received: readonly Received[]): readonly Summary[] {
  return received.flatMap(({ summaries }) => summaries);
}

/** A summary and the instant at which it was received. */
interface Row {
  readonly summary: Summary;
  readonly arrived: number;
}

/** Each once, as it came last: a statement can change a row once. In one order, so that two processes cannot wait for each other. */
function distinctInOrder(rows: readonly Row[]): Row[] {
  const byKey = new Map<string, Row>();
  for (const row of rows) {
    const { name, bucket, id } = row.summary;
    const key = `${id} ${microsecondsOf(bucket)} ${name}`;
    const known = byKey.get(key);
    if (known === undefined || known.arrived < row.arrived) byKey.set(key, row);
  }
  return [...byKey.values()].toSorted(
    ({ summary: a }, { summary: b }) => a.bucket - b.bucket || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
}
