const hour = 3_600;
const day = 24 * hour;

/** The least that a month has. */
const month = 28 * day;

/** 1970-01-05 was a Monday. */
const firstMonday = 4 * day;

/**
 * Where a time axis has its ticks: at round times of the zone's own clocks, days at its midnights, months at the first. uPlot's own
 * go by the clocks of the browser's zone, which are changed on other days.
 *
 * @param {number} from Unix seconds, as all of these.
 * @param {number} to
 * @param {number} distance Of two ticks, as uPlot proposes it.
 * @param {import('./zone-clock.js').ZoneClock} clock
 * @returns {number[]} Ascending.
 */
export function timeTicks(from, to, distance, clock) {
  if (distance >= month) return within(from, to, monthTicks(from, to, distance, clock));
  if (distance > hour) return within(from, to, localTicks(from, to, distance, clock));
  // Clocks are changed by whole distances of these, so that one step is as long as the next.
  const ahead = clock.ahead(from);
  const first = Math.ceil((from + ahead) / distance) * distance - ahead;
  return Array.from(
    { length: Math.max(0, Math.floor((to - first) / distance) + 1) },
    (_, index) => first + index * distance,
  );
}

/** @param {number} from @param {number} to @param {number} distance @param {import('./zone-clock.js').ZoneClock} clock */
function localTicks(from, to, distance, clock) {
  const origin = distance % (7 * day) === 0 ? firstMonday : 0;
  const first = Math.floor((from + clock.ahead(from) - origin) / distance) * distance + origin;
  const count = Math.ceil((to - from + 2 * day) / distance) + 1;
  return Array.from({ length: count }, (_, index) => clock.instantOf(first + index * distance));
}

/** @param {number} from @param {number} to @param {number} distance @param {import('./zone-clock.js').ZoneClock} clock */
function monthTicks(from, to, distance, clock) {
  const months = Math.max(1, Math.round(distance / (30 * day)));
  const begin = new Date((from + clock.ahead(from)) * 1000);
  const first = Math.floor((begin.getUTCFullYear() * 12 + begin.getUTCMonth()) / months) * months;
  const count = Math.ceil((to - from) / (months * month)) + 2;
  return Array.from({ length: count }, (_, index) =>
    clock.instantOf(Date.UTC(1970, first + index * months - 1970 * 12) / 1000),
  );
}

/** @param {number} from @param {number} to @param {readonly number[]} ticks */
function within(from, to, ticks) {
  return [...new Set(ticks)].filter((tick) => tick >= from && tick <= to);
}
