/**
 * Which buckets are whole. Count and sum of one that is not are less than they would be, and look like a rise or a fall.
 *
 * 1. A bucket that begins before what was asked for holds only the rest of itself.
 * 2. One that ends after that, or after now, is not over. Days and longer end as the calendar of their zone says.
 * 3. What is read by 15 seconds may have come in minutes, as from a log drain: then the minute is what has to be over.
 */
import { createTimeFormat } from './format.js';
import { secondsOf } from './time-range.js';

/** At their shortest. @type {Readonly<Record<string, number>>} */
const calendarSeconds = { mo: 28 * 86_400, year: 365 * 86_400, y: 365 * 86_400 };

/**
 * The width of the buckets of a resolution in seconds, of months and years that of their shortest.
 *
 * @param {string} resolution
 */
export function stepOf(resolution) {
  return calendarSeconds[resolution] ?? secondsOf(resolution);
}

/** So many characters of a local time tell one bucket from the next. @type {Readonly<Record<string, number>>} */
const lengths = { d: 10, w: 10, mo: 7, y: 4 };

/**
 * @param {object} asked
 * @param {string} asked.resolution
 * @param {string} asked.timezone
 * @param {number} asked.from Unix seconds, as the others.
 * @param {number} asked.to
 * @param {number} asked.now
 * @returns {(bucket: number, widthSeconds: number) => boolean} Whether a bucket is whole, where what is in it came in
 *   buckets of that width.
 */
export function wholeBuckets({ resolution, timezone, from, to, now }) {
  const step = stepOf(resolution);
  const length = lengths[/^\d*(mo|[dwy])/.exec(resolution)?.[1] ?? ''];
  const { whole } = createTimeFormat(timezone);
  const end = Math.min(to, now);

  const isOver = (/** @type {number} */ bucket) => {
    // No month, and no day on which clocks are changed, is twice as long as the shortest.
    if (length === undefined || bucket + 2 * step <= end) return bucket + step <= end;
    // Of days and weeks the noon of the last, whichever of its hours are skipped or come twice.
    const inside = length === lengths.d ? bucket + step - 43_200 : bucket;
    return whole(end).slice(0, length) > whole(inside).slice(0, length);
  };
  return (bucket, widthSeconds) => bucket >= from && bucket + widthSeconds <= now && isOver(bucket);
}
