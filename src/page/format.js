/**
 * A value as a person reads it: all digits of a whole number; of another five, or one after the point.
 *
 * @param {number | null | undefined} value
 */
export function formatNumber(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size > Number.MAX_SAFE_INTEGER || (size !== 0 && size < 1e-4)) return value.toExponential(3);
  return withDecimals(value, 0, Math.max(1, 4 - Math.floor(Math.log10(size || 1))));
}

/**
 * The values beside an axis: short, and with as many digits as tell one from the next.
 *
 * @param {readonly number[]} values
 * @param {number} distance From one to the next.
 * @returns {string[]}
 */
export function formatTicks(values, distance) {
  const greatest = Math.max(...values.map(Math.abs));
  if (greatest >= 1e15 || (greatest !== 0 && greatest < 1e-4)) {
    const decimals = decimalsOf(distance / 10 ** Math.floor(Math.log10(greatest)));
    return values.map((value) => (value === 0 ? '0' : value.toExponential(decimals)));
  }
  // Who looks at fractions wants no thousands of them.
  const thousands = greatest >= 100_000 && distance >= 1 ? Math.min(Math.floor(Math.log10(greatest) / 3), 4) : 0;
  const scale = 1_000 ** thousands;
  const decimals = decimalsOf(distance / scale);
  const letter = ['', 'K', 'M', 'B', 'T'][thousands];
  return values.map((value) => (value === 0 ? '0' : `${withDecimals(value / scale, decimals, decimals)}${letter}`));
}

/** How many a distance has, which is 1, 2, 2.5 or 5 of something. @param {number} distance */
function decimalsOf(distance) {
  const [digits = '', exponent] = distance.toExponential(1).split('e');
  return Math.min(Math.max((digits.endsWith('0') ? 0 : 1) - Number(exponent), 0), 15);
}

/** @param {number} value @param {number} least @param {number} most */
function withDecimals(value, least, most) {
  return value.toLocaleString('en', { minimumFractionDigits: least, maximumFractionDigits: most });
}

/** No clock is set back by more than this, in seconds. */
const nearChange = 3 * 3_600;

/** @type {Intl.DateTimeFormatOptions} */
const wholeTime = {
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
};

/**
 * What formats instants in a zone: `2030-01-31 05:12:00`, and as short as the distance between ticks allows.
 *
 * @param {string} timezone IANA name; UTC where the browser does not know it.
 */
export function createTimeFormat(timezone) {
  const zone = isZone(timezone) ? timezone : 'UTC';
  // Swedes write dates as ISO 8601 does.
  const format = new Intl.DateTimeFormat('sv-SE', { ...wholeTime, timeZone: zone });
  const whole = (/** @type {number} */ seconds) => format.format(seconds * 1000);
  const offset = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
  const offsetAt = (/** @type {number} */ seconds) =>
    offset
      .formatToParts(seconds * 1000)
      .find(({ type }) => type === 'timeZoneName')
      ?.value.replace('GMT', '') || '+00:00';
  return {
    zone,
    whole,
    /**
     * A time as it is read from a chart: with its offset near a change of the clocks, where a time may come twice.
     *
     * @param {number} seconds
     */
    precise(seconds) {
      const isNearChange = offsetAt(seconds - nearChange) !== offsetAt(seconds + nearChange);
      return isNearChange ? `${whole(seconds)} ${offsetAt(seconds)}` : whole(seconds);
    },
    /**
     * @param {number} seconds
     * @param {number} distance Seconds to the next tick.
     */
    tick(seconds, distance) {
      const [day = '', time = ''] = whole(seconds).split(' ');
      if (distance >= 86_400 || time === '00:00:00') return distance >= 28 * 86_400 ? day.slice(0, 7) : day.slice(5);
      return distance >= 60 ? time.slice(0, 5) : time;
    },
  };
}

/** @param {string} timezone */
function isZone(timezone) {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: timezone }));
  } catch {
    return false;
  }
}

/**
 * `3 min`, `2 h 5 min`, `4 d`: how long something has lasted.
 *
 * @param {number} seconds
 */
export function formatDuration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d`;
}
