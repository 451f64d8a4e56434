/**
 * The clocks of the service and of its databases, compared. No single one of them decides what is old enough to be dropped:
 * the one that is furthest behind does. Where they differ by minutes, one of them is wrong, and nothing that goes by time is
 * done until they agree.
 *
 * A database says what time it is at each look. From then on that is carried forward by the monotonic clock of the process, so
 * that a jump of the service's own clock shows at once.
 */

/** What a database has said of its clock. */
export interface ClockReading {
  /** Unix seconds. */
  readonly seconds: number;
  /** When, by `performance.now()`: the middle of the round trip. */
  readonly atMs: number;
  /** It may have been that much earlier or later: half of the round trip. */
  readonly errorMs: number;
}

/** A database of which the time can be told. */
export interface ClockOwner {
  readonly name: string;
  /** Undefined while it cannot be reached. */
  clock(): ClockReading | undefined;
}

/** What comparing the clocks has told. */
export interface ClockComparison {
  /** Unix seconds, by the clock that is furthest behind. */
  readonly leastNow: number;
  /** Between the clock that is furthest ahead and the one furthest behind, beyond what round trips explain. */
  readonly differenceSeconds: number;
  readonly state: 'agree' | 'differ' | 'apart';
  /** For an operator; null while they agree. */
  readonly message: string | null;
}

/** Clocks that NTP keeps differ by milliseconds. From here on an operator is told. */
const toldSeconds = 2;

/** Minutes are no drift: a clock is wrong. */
const apartSeconds = 300;

const ourName = 'this service';

/** How far the clock of a database is ahead of the service's, in seconds. */
export function clockOffset({ seconds, atMs }: ClockReading, now: number): number {
  return seconds + (performance.now() - atMs) / 1000 - now;
}

/**
 * Compares the service's clock with those of the databases that can be reached, and those with each other.
 *
 * @param now Unix seconds, by the service's clock.
 */
export function compareClocks(databases: readonly ClockOwner[], now: number): ClockComparison {
  const offsets = databases.flatMap((database) => {
    const reading = database.clock();
    if (reading === undefined) return [];
    const offset = clockOffset(reading, now);
    const error = reading.errorMs / 1000;
    return [{ name: database.name, least: offset - error, most: offset + error }];
  });
  const all = [{ name: ourName, least: 0, most: 0 }, ...offsets];
  const mostAhead = Math.max(...all.map(({ least }) => least));
  const mostBehind = Math.min(...all.map(({ most }) => most));
  const differenceSeconds = Math.max(0, mostAhead - mostBehind);
  const state = differenceSeconds > apartSeconds ? 'apart' : differenceSeconds > toldSeconds ? 'differ' : 'agree';
  const consequence =
    state === 'apart' ? 'until they agree, no week is dropped or packed and no hour is rolled up; ' : '';
  // Of several that are as far off, the service first: it is one, and the databases are many.
  const ahead = all.find(({ least }) => least > mostAhead - toldSeconds) as { readonly name: string };
  const behind = all.find(({ most }) => most < mostBehind + toldSeconds) as { readonly name: string };
  const message =
    state === 'agree'
      ? null
      : `the clock of ${ahead.name} is ${describeSeconds(differenceSeconds)} ahead of that of ${behind.name}: ` +
        `${consequence}set both right, by NTP`;
  return { leastNow: now + Math.min(...all.map(({ least }) => least)), differenceSeconds, state, message };
}

/** `35 s`, `12 min`, `5 h`, `400 days`. */
function describeSeconds(seconds: number): string {
  const units = [
    [172_800, 86_400, 'days'],
    [7_200, 3_600, 'h'],
    [120, 60, 'min'],
  ] as const;
  const [, size, unit] = units.find(([from]) => seconds >= from) ?? [0, 1, 's'];
  return `${Math.round(seconds / size)} ${unit}`;
}
