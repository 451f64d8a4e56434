/**
 * What writes need before a database can store them: names in its dictionary, and a partition for each week.
 *
 * Whether they are there is not asked first: the insert fails when one is missing, and then it is looked up which. They are made
 * on a connection of their own (`define`), so that a lock, a trigger or a server that takes its time keeps only those writes
 * waiting that need them.
 */
import { microsecondsOf } from '../database/binary-array.ts';
import type { Database } from '../database/database.ts';
import { isOfConstraint, readinessFailure } from '../database/sqlstate.ts';
import { type Failure, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { Summary } from '../domain/summary.ts';
import { createMaker, type Maker } from './maker.ts';

/** A statement of some tens of milliseconds, for arrays of new names one after another. */
const namesAtOnceMax = 5_000;

/** Each in a transaction of its own, so that whoever sends years of data gets further with each try. */
const weeksAtOnceMax = 1;

const findUnknownNames = `
  select given.name from unnest($1::text[]) as given (name)
  where not exists (select from series where series.name = given.name)`;

const insertNames = `
  insert into series (name)
  select given.name from unnest($1::text[]) as given (name)
  where not exists (select from series where series.name = given.name)
  order by given.name -- Racing writers that take locks in one order cannot deadlock.
  on conflict (name) do nothing`;

/** Without touching the partitions: no lock can be in the way. */
const findMissingWeeks = `
  select given.week from unnest($1::integer[], $2::date[]) as given (week, monday)
  where not exists (
    select from pg_inherits
    where inhparent = 'summaries'::regclass and inhrelid = week_partition(given.monday) and not inhdetachpending)`;

const createWeek = 'select create_summaries_week($1::date) as created';

/** Something that a database lacks, and that some summaries need. */
export interface Lack {
  isNeededBy(summary: Summary): boolean;
  /** Resolves when these summaries lack none of it any more. Rejects with a Failure when it cannot be made in time. */
  provide(summaries: readonly Summary[], waitMs: number): Promise<void>;
}

/** Finds what writes to one database need. */
export interface Prerequisites {
  /** What these summaries need and is being made at this moment; undefined: nothing. */
  beingMadeFor(summaries: readonly Summary[]): Lack | undefined;
  /**
   * After a commit failed for want of something: what of it is missing; undefined: nothing any more. Rejects with a Failure when
   * the database does not answer.
   */
  find(failure: Failure, summaries: readonly Summary[]): Promise<Lack | undefined>;
}

export interface PrerequisitesOptions {
  readonly database: Database;
  readonly observe: Observe;
}

/** Makes nothing until it is asked to. */
export function createPrerequisites(options: PrerequisitesOptions): Prerequisites {
  const [names, weeks] = [createPrerequisite(namesOf(options)), createPrerequisite(weeksOf(options))];
  return {
    beingMadeFor: (summaries) => names.beingMadeFor(summaries) ?? weeks.beingMadeFor(summaries),
    find: ({ code }, summaries) => (code === 'series_missing' ? names : weeks).find(summaries),
  };
}

/** A kind of thing that may be missing. */
interface Kind<Key> {
  readonly noun: string;
  /** Whether a failure to make it says something about the summaries that need it. */
  readonly isVerdict: (failure: Failure) => boolean;
  readonly keyOf: (summary: Summary) => Key;
  /** Those of the keys that are missing. */
  readonly find: (keys: readonly Key[]) => Promise<readonly Key[]>;
  readonly maker: Maker<Key>;
}

function createPrerequisite<Key>({ noun, isVerdict, keyOf, find, maker }: Kind<Key>) {
  const provide = async (keys: readonly Key[], waitMs: number) => {
    try {
      await maker.want(keys, waitMs);
    } catch (error) {
      const failure = toFailure(error);
      throw isVerdict(failure) ? failure : readinessFailure(failure, `cannot make a new ${noun}`);
    }
  };
  const lackOf = (missing: { has(key: Key): boolean }): Lack => {
    const isNeededBy = (summary: Summary) => missing.has(keyOf(summary));
    return {
      isNeededBy,
      provide: (summaries, waitMs) => provide(summaries.filter(isNeededBy).map(keyOf), waitMs),
    };
  };
  const beingMade = lackOf(maker.wanted);
  return {
    beingMadeFor: (summaries: readonly Summary[]) =>
      maker.wanted.size > 0 && summaries.some(beingMade.isNeededBy) ? beingMade : undefined,
    async find(summaries: readonly Summary[]) {
      const missing = new Set(await find([...new Set(summaries.map(keyOf))]));
      return missing.size > 0 ? lackOf(missing) : undefined;
    },
  };
}

function namesOf({ database }: PrerequisitesOptions): Kind<string> {
  return {
    noun: 'name',
    // A trigger may raise whatever it likes, but a constraint refuses this name and no other.
    isVerdict: isOfConstraint,
    keyOf: ({ name }) => name,
    async find(names) {
      const { rows } = await database.query('write', { text: findUnknownNames, values: [names] });
      return rows.map(({ name }) => name);
    },
    maker: createMaker({
      describe: (names) => (names.length === 1 ? 'a new name' : `${names.length} new names`),
      async make(names) {
        await database.query('define', { text: insertNames, values: [names] });
      },
      atOnceMax: namesAtOnceMax,
    }),
  };
}

/** The key of a week is its number. */
function weeksOf({ database, observe }: PrerequisitesOptions): Kind<number> {
  return {
    noun: 'week',
    isVerdict: () => false,
    keyOf: ({ bucket }) => weekOf(bucket),
    async find(weeks) {
      const { rows } = await database.query('write', { text: findMissingWeeks, values: [weeks, weeks.map(mondayOf)] });
      return rows.map(({ week }) => week);
    },
    maker: createMaker({
      describe: (weeks) => `the partition of the week of ${weeks.map(mondayOf).join(', ')}`,
      async make(weeks) {
        for (const monday of weeks.map(mondayOf)) {
          const { rows } = await database.query('define', { text: createWeek, values: [monday] });
          if (rows[0].created) observe({ type: 'partition_created', database: database.name, monday });
        }
      },
      atOnceMax: weeksAtOnceMax,
    }),
  };
}

const [dayMs, weekMs] = [86_400_000, 7 * 86_400_000];

/** The first Monday since PostgreSQL's epoch, which is a Saturday. */
const firstMondayMs = Date.UTC(2000, 0, 1) + 2 * dayMs;

/** The number of the week (UTC, from Monday) that PostgreSQL finds a bucket in: as it rounds the instant. */
function weekOf(bucket: number): number {
  return Math.floor((microsecondsOf(bucket) - 2_000 * dayMs) / (1_000 * weekMs));
}

/** `YYYY-MM-DD`. */
function mondayOf(week: number): string {
  return new Date(firstMondayMs + week * weekMs).toISOString().slice(0, 10);
}
