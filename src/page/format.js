const plain = new Intl.NumberFormat('en', { maximumSignificantDigits: 5 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });

/**
 * A value as a person reads it: five digits.
 *
 * @param {number | null | undefined} value
 */
export function formatNumber(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e15 || size < 1e-4) ? value.toExponential(3) : plain.format(value);
}

/**
 * A value beside an axis, where there is little room.
 *
 * @param {number} value
 */
export function formatTick(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e15 || size < 1e-4)) return value.toExponential(1);
  return size >= 100_000 ? compact.format(value) : plain.format(value);
}

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
  return {
    zone,
    whole,
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
