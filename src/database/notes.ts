/**
 * What services that use the same databases tell each other: each database keeps it, every look reads it, and every service
 * notes its own settings there before it uses the database and every few seconds from then on.
 */
import type { Run } from './deletions.ts';
import type { Presence } from './presence.ts';
import { databaseFailure, isReportedByServer } from './sqlstate.ts';

/** Settings that other services must know. */
export type SharedSetting = 'write_acks' | 'retention_seconds' | 'pack_after_seconds';

/** What a service notes; `Infinity` is for ever, or never. */
export type SettingsInUse = Partial<Readonly<Record<SharedSetting, number>>>;

/** A setting that some service uses, or has used. */
export interface NotedSetting {
  readonly setting: SharedSetting;
  readonly value: number;
  /** Changes whenever a service notes it anew; tells nothing else. */
  readonly usedAt: string;
  /** Since it was noted last, by the clock of the database, when it was read. */
  readonly ageSeconds: number;
}

/** The last round of repair in which a database was found equal to all others; 0: none since it was made or emptied. */
export interface EqualRound {
  readonly round: number;
  readonly id: string | null;
  /** The id of the round before. */
  readonly previous: string | null;
}

/** What is noted in one database. */
export interface Notes extends EqualRound {
  /** Another one whenever the database was emptied. */
  readonly made: string;
  readonly settings: readonly NotedSetting[];
  readonly weeksHeldBack: number;
  /** By `performance.now()`, when the question was sent. */
  readonly readAtMs: number;
}

/** The notes in one database, kept up by looks. */
export interface Notebook {
  /**
   * Notes our settings when that is due, where the database takes writes, and reads what others have noted. What the database
   * refuses is left to the next look: notes that were not read grow old, and whoever uses them sees that.
   *
   * @returns False: tables are missing though the database takes writes, and it is to be prepared anew.
   * @throws What the driver raises when the connection is at fault.
   */
  look(run: Run, found: { readonly isNew: boolean; readonly readOnly: boolean }): Promise<boolean>;
  /** As they were read last; undefined: never. */
  latest(): Notes | undefined;
}

export interface NotebookOptions {
  readonly name: string;
  /** Of this process; a command that serves nobody has none. */
  readonly settings?: SettingsInUse;
  readonly presence?: Presence;
}

/** Often enough that what is not refreshed for a minute is no longer in use. */
const noteEveryMs = 10_000;

/** The notes in one database; nothing is read yet. */
export function createNotebook({ name, settings = {}, presence }: NotebookOptions): Notebook {
  let latest: Notes | undefined;
  let notedAtMs = Number.NEGATIVE_INFINITY;

  const note = async (run: Run) => {
    const sentMs = performance.now();
    if (Object.keys(settings).length > 0) await noteSettings(run, settings);
    notedAtMs = sentMs;
    if (settings.write_acks !== undefined) presence?.noted(name, sentMs);
  };

  return {
    async look(run, { isNew, readOnly }) {
      const isDue = isNew || performance.now() - notedAtMs >= noteEveryMs;
      const isNoted = readOnly || !isDue || (await isWhole(note(run)));
      const isRead = await isWhole(
        readNotes(run).then((notes) => {
          latest = notes;
        }),
      );
      return readOnly || (isNoted && isRead);
    },
    latest: () => latest,
  };
}

/** @returns False where tables are missing. */
async function isWhole(work: Promise<unknown>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (!isReportedByServer(error)) throw error;
    return databaseFailure(error).code !== 'schema_missing';
  }
}

/** Notes that settings are in use. */
export async function noteSettings(run: Run, settings: SettingsInUse): Promise<void> {
  await run('select use_settings($1, $2)', [Object.keys(settings), Object.values(settings)]);
}

/** Reads what is noted in a database. */
export async function readNotes(run: Run): Promise<Notes> {
  const readAtMs = performance.now();
  const { rows } = await run(`
    select round::float8, id, previous, made, weeks_held_back as "weeksHeldBack", setting, value,
      (extract(epoch from used_at) * 1000000)::bigint::text as "usedAt",
      date_part('epoch', clock_timestamp() - used_at) as "ageSeconds"
    from equal_rounds cross join retention_state left join settings_in_use on true`);
  const all = rows as unknown as (Notes & NotedSetting)[];
  const settings = all.filter(({ setting }) => setting !== null);
  const { round = 0, id = null, previous = null, made = '', weeksHeldBack = 0 } = all[0] ?? {};
  return {
    round,
    id,
    previous,
    made,
    weeksHeldBack,
    settings: settings.map(({ setting, value, usedAt, ageSeconds }) => ({ setting, value, usedAt, ageSeconds })),
    readAtMs,
  };
}

/** A database whose notes are read. */
export interface NotesOwner {
  readonly name: string;
  notes(): Notes | undefined;
}

/**
 * The values of a setting that were noted within some seconds, in any of the databases. Seconds before the last look at any of
 * them: a process that did not run meanwhile does not know what others did.
 */
export function valuesInUse(databases: readonly NotesOwner[], setting: SharedSetting, withinSeconds: number): number[] {
  const all = databases.flatMap((database) => database.notes() ?? []);
  const lookedAtMs = Math.max(...all.map(({ readAtMs }) => readAtMs));
  return all.flatMap((notes) => {
    const sinceSeconds = (lookedAtMs - notes.readAtMs) / 1000;
    const isInUse = (one: NotedSetting) => one.setting === setting && one.ageSeconds + sinceSeconds <= withinSeconds;
    return notes.settings.filter(isInUse).map(({ value }) => value);
  });
}

/** What one service promises to keep no other drops while it is away for a while. */
const promisedSeconds = 7 * 86_400;

/** A service that is there has noted its settings within it. */
export const presentSeconds = 60;

/**
 * The longest that a service of these databases keeps summaries, or waits until it packs them: that is what counts for all.
 *
 * @param own Of this service; undefined is for ever.
 * @param withinSeconds How lately another one must have been there to count; a week when left out.
 */
export function longestInUse(
  databases: readonly NotesOwner[],
  setting: 'retention_seconds' | 'pack_after_seconds',
  own: number | undefined,
  withinSeconds = promisedSeconds,
): number | undefined {
  const longest = Math.max(own ?? Number.POSITIVE_INFINITY, ...valuesInUse(databases, setting, withinSeconds));
  return longest === Number.POSITIVE_INFINITY ? undefined : longest;
}
