/**
 * What holds for a whole run: how the services are set, and what is between them and the databases. All of it follows from the
 * seed; where faults are named, only what is named with them.
 */
import { createRandom, type Random } from './random.ts';

export const databases = 3;
export const services = 3;

/** Each may be named among the faults. */
export const conditions = {
  deletes: 'metrics are exported, deleted and imported all the time',
  'mixed-acks': 'services of WRITE_ACKS 1 and 2',
  'mixed-settings': 'services of different RETENTION, PACK_AFTER and POOL_SIZE_MAX',
  'older-version-first': 'a service of the version before runs before the others migrate its databases',
  pooler: 'PgBouncer between a service and a database',
} as const;

export type Condition = keyof typeof conditions;

/** How one service is set. */
export interface ServiceSettings {
  readonly writeAcks: number;
  readonly poolSizeMax: number;
  /** As RETENTION; undefined: for ever. */
  readonly retention?: string;
  /** As PACK_AFTER. */
  readonly packAfter?: string;
}

/** The settings of a run. */
export interface Settings {
  readonly services: readonly ServiceSettings[];
  /** Of them all: what decides which reads are complete. */
  readonly leastAcks: number;
  /** How far back summaries may be, so that each service takes them. */
  readonly weeksBackMax: number;
  /** The one that is of the version before, now and then. It asks for as many acknowledgements as any other. */
  readonly olderAt: number;
  readonly has: ReadonlySet<Condition>;
}

/** The oldest summaries are those of ten years, and the last of them may be of a clock ahead. */
const weeksOfEver = 400;

/** Longer than the experiment writes back, shorter than a clock may be ahead. */
const retentions = [{ retention: '20w' }, { retention: '40w' }, {}] as const;
const weeksOfRetention = 18;

const packings = [{ packAfter: '1d' }, { packAfter: 'never' }, {}] as const;

/** What a request needs at once, and a writer and a reader beside it; the usual; more. */
const pools = [{ poolSizeMax: 4 }, { poolSizeMax: 6 }, { poolSizeMax: 10 }] as const;

/**
 * The settings of a seed.
 *
 * @param asked Those that were asked for by name; undefined: as the seed has it.
 */
export function settingsFor(seed: number, asked: readonly Condition[] | undefined): Settings {
  const random = createRandom(seed * 7 + 3);
  const has = new Set(
    (Object.keys(conditions) as Condition[]).filter((condition) => {
      const isDrawn = random.next() < shareOf(condition, seed);
      return asked ? asked.includes(condition) : isDrawn;
    }),
  );
  const acks = has.has('mixed-acks')
    ? shuffled([1, 2, random.pick([1, 2])], random)
    : Array(services).fill(1 + (seed % 2));
  const isMixed = has.has('mixed-settings');
  const [kept, packed, sizes] = [retentions, packings, pools].map((list) => shuffled(list, random));
  const olderAt = acks.indexOf(Math.max(...acks));
  return {
    services: acks.map((writeAcks, index) => ({
      writeAcks,
      poolSizeMax: 6,
      // What the version before does by a clock that is wrong is known.
      ...(isMixed && { ...sizes?.[index], ...packed?.[index], ...(index !== olderAt && kept?.[index]) }),
    })),
    leastAcks: Math.min(...acks),
    weeksBackMax: isMixed ? weeksOfRetention : weeksOfEver,
    olderAt,
    has,
  };
}

/** Odd seeds destroy data, for which every write has to be in two databases. */
function shareOf(condition: Condition, seed: number): number {
  if (condition === 'deletes') return 1;
  return condition === 'mixed-acks' && seed % 2 === 1 ? 0 : 0.5;
}

function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** What a service is told of them. */
export function environmentOf({
  writeAcks,
  poolSizeMax,
  retention,
  packAfter,
}: ServiceSettings): Record<string, string> {
  return {
    WRITE_ACKS: String(writeAcks),
    POOL_SIZE_MAX: String(poolSizeMax),
    ...(retention && { RETENTION: retention }),
    ...(packAfter && { PACK_AFTER: packAfter }),
  };
}
