/**
 * How many commits services with different WRITE_ACKS on the same databases must count on.
 *
 * Reading: N − W + 1 answers of N databases are complete when W is the least number that any service may have acknowledged a
 * summary with. Every service notes its number in the databases; the least that is noted counts, until repair has made all
 * databases equal since it was used last and takes it away (`repair/equality.ts`). Only a database counts that was found equal to
 * the others in their last round: one that was added, emptied or restored since then may lack what they hold.
 *
 * Writing: a number that is lower than another service's must be known before it counts, or that service would call a read
 * complete that lacks what we have acknowledged. With at least H databases that know it, H being the highest number of
 * services that are there, any N − H + 1 answers come from one of them. Until then a write takes H commits.
 */
import { type EqualRound, type Notes, type NotesOwner, presentSeconds, valuesInUse } from '../database/notes.ts';
import { cacheMaxMs, type Presence } from '../database/presence.ts';

/** What a redundant store is to count on. */
export interface AgreedAcks {
  /** How many databases must have committed before a write is answered. */
  forWrites(): number;
  /** The least number of databases that hold what was acknowledged. */
  forReads(): number;
  /** Whether a database was found equal to the others when that was last looked for. */
  counts(database: string): boolean;
  /**
   * To be called when a read begins: what was known then counts, for it may change while slow databases are waited for.
   *
   * @returns Tells from the names of those that have answered whether they can lack anything.
   */
  beginRead(): (answered: readonly string[]) => boolean;
}

export interface AgreedAcksOptions {
  /** WRITE_ACKS of this process. */
  readonly acks: number;
  readonly databases: readonly NotesOwner[];
  readonly presence: Presence;
}

/** The numbers of one service, by what it has read in its databases. */
export function createAgreedAcks({ acks, databases, presence }: AgreedAcksOptions): AgreedAcks {
  /** In which our own number has come to count; undefined: it has not yet. */
  let generationKnown: number | undefined;

  const allNotes = () => databases.flatMap((database) => database.notes() ?? []);
  const forReads = () => Math.min(acks, ...allNotes().flatMap(acksIn));
  const counts = (name: string) => {
    // There is nothing that it could lack.
    if (databases.length === 1) return true;
    const notes = databases.find((database) => database.name === name)?.notes();
    if (notes === undefined || performance.now() - notes.readAtMs > cacheMaxMs) return false;
    return isEqualAsOf(notes, newestRound(allNotes()));
  };
  return {
    forWrites() {
      const now = performance.now();
      const generation = presence.generation(now);
      if (generationKnown === generation) return acks;
      const highest = Math.max(acks, ...valuesInUse(databases, 'write_acks', presentSeconds));
      const needed = Math.min(highest, databases.length);
      if (needed <= acks) return acks;
      if (presence.knownIn(now) < needed) return needed;
      generationKnown = generation;
      return acks;
    },
    forReads,
    counts,
    beginRead() {
      const acksThen = forReads();
      const countedThen = new Set(databases.map(({ name }) => name).filter(counts));
      return (answered) => {
        if (answered.length === databases.length) return true;
        const counted = answered.filter((name) => countedThen.has(name) && counts(name));
        return counted.length >= databases.length - Math.min(acksThen, forReads()) + 1;
      };
    },
  };
}

function acksIn({ settings }: Notes): number[] {
  return settings.filter(({ setting }) => setting === 'write_acks').map(({ value }) => value);
}

/** The last round that any database tells of. */
export function newestRound(rounds: readonly EqualRound[]): EqualRound {
  const none: EqualRound = { round: 0, id: null, previous: null };
  return rounds.reduce((newest, other) => (other.round > newest.round ? other : newest), none);
}

/** Whether a database took part in the last round or, where that was broken off while it was noted, in the one before. */
export function isEqualAsOf({ round, id }: EqualRound, newest: EqualRound): boolean {
  return round > 0 && id === (round === newest.round ? newest.id : newest.previous);
}
