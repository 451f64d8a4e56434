import { createTimeFormat } from './format.js';

/**
 * The clocks of a time zone.
 *
 * @typedef {object} ZoneClock
 * @property {(seconds: number) => number} ahead How far they are ahead of UTC at an instant, in seconds.
 * @property {(local: number) => number} instantOf The instant at which they show a time, both in seconds from 1970 on, the time as
 *   if there were no zones. As calendars do (RFC 5545, 3.3.5): where clocks are set back they show a time twice, and the first
 *   is taken. Where they are set forward they skip it, and it is as long after the change as it says: 02:30 is then what they show
 *   as 03:30. A day of two midnights, or of none, begins where that of the service does.
 */

/**
 * @param {string} timezone IANA name.
 * @returns {ZoneClock}
 */
export function createZoneClock(timezone) {
  const { whole } = createTimeFormat(timezone);
  const ahead = (/** @type {number} */ seconds) =>
    Date.parse(`${whole(seconds).replace(' ', 'T')}Z`) / 1000 - Math.floor(seconds);
  return {
    ahead,
    instantOf(local) {
      // No clock is a day from UTC, so these are before and after any change that matters.
      const [early = local, late = local] = [local - 86_400, local + 86_400].map((near) => local - ahead(near));
      return [early, late].find((instant) => instant + ahead(instant) === local) ?? early;
    },
  };
}
