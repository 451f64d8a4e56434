/**
 * Rounds of repair: when all databases have been found equal, each of them notes it. From that readers know which databases hold
 * all that was acknowledged (`store/agreed-acks.ts`), and a low WRITE_ACKS that nobody uses any more is forgotten.
 *
 * 1. A round begins when every database can be read and written.
 * 2. What is equal at its first look is so as of the begin of the round: whatever was committed anywhere before it is everywhere.
 * 3. What differs then, most of it writes on their way, is waited for: until a later look finds it equal, or repair has laid all
 *    of its summaries side by side and has copied what was missing.
 * 4. Nothing is left: all databases hold what was in any of them when the round began. They note the number of the round and its
 *    id, and each gets the numbers of WRITE_ACKS that it lacks. One that was not used by anybody for a minute before the round
 *    began, and is lower than another one, is forgotten in all: what was acknowledged with it is everywhere.
 *
 * No clock decides about that minute: a number is in use as long as its note changes, and is taken away only as it was seen.
 */
import { randomUUID } from 'node:crypto';
import type { Run } from '../database/deletions.ts';
import { type Notes, readNotes } from '../database/notes.ts';
import { toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { isEqualAsOf, newestRound } from '../store/agreed-acks.ts';
import type { Copy, Slice } from './copy.ts';

/** Services note their settings every ten seconds, and know after thirty without that they may be forgotten. */
const unusedMs = 60_000;

/** A copy that is restored without what was written since the last round passes for one that lacks nothing. */
const roundEveryMs = 60_000;

export interface EqualityOptions {
  /** All databases. */
  readonly copies: readonly Copy[];
  readonly observe: Observe;
  /** How long a number must not have been used; a minute when left out. */
  readonly unusedMs?: number;
}

/** Follows the passes of repair. */
export interface Equality {
  /** A pass begins, with the databases that can be read. */
  begin(readable: readonly Copy[]): Promise<void>;
  /** What differs at its look. */
  looked(differing: readonly Slice[]): void;
  /** All summaries of a slice were compared, and copied where they were missing. */
  mended(slice: Slice): void;
  /** The pass ends: what a round that is over has told is noted. */
  end(): Promise<void>;
}

interface Round {
  /** What the databases told of rounds before it. Where that changes, one was emptied or restored, and it begins again. */
  readonly before: string;
  /** What has differed since its first look; undefined before that. */
  pending: readonly Slice[] | undefined;
  /** Numbers that were not used for long when it began. */
  readonly unused: ReadonlySet<number>;
}

/** Has seen nothing yet. */
export function createEquality(options: EqualityOptions): Equality {
  const { copies, observe } = options;
  const usage = createUsage(options.unusedMs ?? unusedMs);
  let notes: readonly Notes[] | undefined;
  let round: Round | undefined;
  let notedAtMs = Number.NEGATIVE_INFINITY;

  const isDue = (all: readonly Notes[], unused: ReadonlySet<number>) => {
    const newest = newestRound(all);
    return (
      performance.now() - notedAtMs >= roundEveryMs ||
      unused.size > 0 ||
      new Set(all.map((one) => `${one.round} ${one.id} ${numbersIn(one).join()}`)).size > 1 ||
      !isEqualAsOf(newest, newest)
    );
  };

  return {
    async begin(readable) {
      const isWhole = readable.length === copies.length && copies.every((copy) => copy.isWritable());
      notes = isWhole
        ? await Promise.all(copies.map((copy) => readNotes(runOn(copy)))).catch(() => undefined)
        : undefined;
      if (notes === undefined) {
        round = undefined;
        return;
      }
      const unused = usage.unused(notes);
      const before = notes.map(({ made, round: last, id }) => `${made} ${last} ${id}`).join();
      if (round?.before !== before) round = { before, pending: undefined, unused };
    },
    looked(differing) {
      if (round === undefined) return;
      const isLeft = (slice: Slice) => differing.some((other) => other.from < slice.until && slice.from < other.until);
      round.pending = round.pending?.filter(isLeft) ?? differing;
    },
    mended({ from, until }) {
      if (round?.pending === undefined) return;
      round.pending = round.pending.filter((slice) => slice.from < from || slice.until > until);
    },
    async end() {
      if (notes === undefined || round?.pending === undefined || round.pending.length > 0) return;
      const { unused } = round;
      round = undefined;
      if (!isDue(notes, unused)) return;
      try {
        await noteRound(copies, notes, usage.stillUnused(unused));
        notedAtMs = performance.now();
      } catch (error) {
        observe({ type: 'repair_failed', failure: toFailure(error) });
      }
    },
  };
}

const runOn =
  ({ database }: Copy, purpose: 'repair' | 'write' = 'repair'): Run =>
  (text, values = []) =>
    database.query(purpose, { text, values });

/** Remembers since when each number of WRITE_ACKS was not noted anew. */
function createUsage(unusedAfterMs: number) {
  let seen = new Map<number, { readonly usedAt: string; readonly sinceMs: number }>();
  const isUnused = (acks: number) => {
    const known = seen.get(acks);
    const isLower = [...seen.keys()].some((other) => other > acks);
    return known !== undefined && isLower && performance.now() - known.sinceMs >= unusedAfterMs;
  };
  return {
    /** Those that are not used any more, by what is noted in all databases. */
    unused(notes: readonly Notes[]): ReadonlySet<number> {
      const before = seen;
      seen = new Map();
      for (const acks of new Set(notes.flatMap(numbersIn))) {
        const usedAt = notes.map((one) => acksNoted(one).find(({ value }) => value === acks)?.usedAt).join();
        const known = before.get(acks);
        seen.set(acks, known?.usedAt === usedAt ? known : { usedAt, sinceMs: performance.now() });
      }
      return new Set([...seen.keys()].filter(isUnused));
    },
    stillUnused: (unused: ReadonlySet<number>) => new Set([...unused].filter(isUnused)),
  };
}

function acksNoted({ settings }: Notes) {
  return settings.filter(({ setting }) => setting === 'write_acks');
}

function numbersIn(notes: Notes): number[] {
  return acksNoted(notes)
    .map(({ value }) => value)
    .toSorted((a, b) => a - b);
}

/** Only where nothing has happened to the database since the pass began. */
const noteTheRound = `
  update equal_rounds set round = $1::float8, id = $2, previous = $3
  where made = $4 and round = $5::float8`;

const addNumbers = `
  insert into settings_in_use (setting, value, used_at)
  select 'write_acks', value, clock_timestamp() from unnest($1::float8[]) as given (value) on conflict do nothing`;

/** As it was seen: a service that has begun to use it since then keeps it. */
const forgetNumber = `
  delete from settings_in_use
  where setting = 'write_acks' and value = $1 and (extract(epoch from used_at) * 1000000)::bigint::text = $2`;

async function noteRound(copies: readonly Copy[], notes: readonly Notes[], unused: ReadonlySet<number>): Promise<void> {
  const newest = newestRound(notes);
  const next = [newest.round + 1, randomUUID(), newest.id];
  const kept = [...new Set(notes.flatMap(numbersIn))].filter((acks) => !unused.has(acks));
  await Promise.all(copies.map((copy) => runOn(copy, 'write')(addNumbers, [kept])));
  await Promise.all(
    copies.map((copy, index) => runOn(copy, 'write')(noteTheRound, [...next, notes[index]?.made, notes[index]?.round])),
  );
  await Promise.all(
    copies.map(async (copy, index) => {
      const gone = acksNoted(notes[index] as Notes).filter(({ value }) => unused.has(value));
      for (const { value, usedAt } of gone) await runOn(copy, 'write')(forgetNumber, [value, usedAt]);
    }),
  );
}
