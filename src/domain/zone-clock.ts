/**
 * The clocks of a time zone, as the ICU of this process knows them. It alone decides where local days begin: databases have
 * time-zone rules of their own, of other ages, and take some names of zones for abbreviations.
 *
 * A zone is sampled on a grid. Where two neighbours differ, the change between them is found by bisection. The grid is finer than
 * the shortest time between two changes in the IANA database: 3.99 days (Freetown, 1939), and 6.96 days since 1970.
 */

/** The clocks of one zone. All times are in seconds; local ones are counted as if they were UTC. */
export interface ZoneClock {
  /** How far ahead of UTC the clocks are at an instant. */
  offsetAt(instant: number): number;
  /** The first instant at which the clocks show this local time or a later one. */
  firstInstantOf(local: number): number;
}

const gridSeconds = 3 * 86_400;

/** No clock was ever further from UTC: Manila, before 1844, was 15:56 behind. */
const offsetMax = 16 * 3_600;

/** The change between two neighbouring points of the grid. If there is none, `at` is the second point. */
interface Change {
  readonly at: number;
  readonly before: number;
  readonly after: number;
}

/** @param timezone A name that `isTimezone` takes. */
export function createZoneClock(timezone: string): ZoneClock {
  // The default of every read: ICU takes a quarter of a millisecond to begin with.
  if (timezone === 'UTC') return { offsetAt: () => 0, firstInstantOf: (local) => local };
  const offsetAt = createOffsetAt(timezone);
  const changeIn = remember((cell) => findChange(cell * gridSeconds, offsetAtGrid, offsetAt));
  const offsetAtGrid = remember((instant) => offsetAt(instant));
  return {
    offsetAt,
    firstInstantOf(local) {
      for (let cell = Math.floor((local - offsetMax) / gridSeconds); ; cell += 1) {
        const { at, before, after } = changeIn(cell);
        if (local - before < at) return local - before;
        if (local - after <= at) return at;
        if (local - after < (cell + 1) * gridSeconds) return local - after;
      }
    },
  };
}

/** Includes historical offsets, which have seconds. */
function createOffsetAt(timezone: string): (instant: number) => number {
  const { format } = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' });
  const known = new Map<string, number>();
  return (instant) => {
    // Such as `1/1/1960, GMT-00:44:30`; of no offset, `GMT`.
    const [, text = ''] = format(Math.floor(instant) * 1_000).split('GMT');
    const offset = known.get(text) ?? parseOffset(text);
    known.set(text, offset);
    return offset;
  };
}

function parseOffset(text: string): number {
  if (text === '') return 0;
  const [, sign, hours, minutes, seconds = '0'] = /^([+-])(\d\d):(\d\d)(?::(\d\d))?$/.exec(text) ?? [];
  if (sign === undefined) throw new Error(`BUG: ICU gives an offset that cannot be read: ${text}`);
  return (sign === '-' ? -1 : 1) * (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds));
}

function findChange(
  begin: number,
  offsetAtGrid: (instant: number) => number,
  offsetAt: (instant: number) => number,
): Change {
  const end = begin + gridSeconds;
  const [before, after] = [offsetAtGrid(begin), offsetAtGrid(end)];
  let [lower, at] = [before === after ? end - 1 : begin, end];
  while (at - lower > 1) {
    const middle = Math.floor((lower + at) / 2);
    if (offsetAt(middle) === before) lower = middle;
    else at = middle;
  }
  return { at, before, after };
}

function remember<Value>(compute: (key: number) => Value): (key: number) => Value {
  const known = new Map<number, Value>();
  return (key) => {
    const value = known.get(key) ?? compute(key);
    known.set(key, value);
    return value;
  };
}
