/** Lengths of a dash and of a gap in pixels. */
const [dash, gap] = [4, 4];

/** @typedef {{ readonly x: number, readonly y: number }} Point */

/**
 * The path of a line: dashed from and to points that are upper bounds.
 *
 * @param {() => ReadonlySet<number>} boundsOf The times of those points, as they are now.
 * @returns {uPlot.Series.PathBuilder}
 */
export function boundPath(boundsOf) {
  const straight = uPlot.paths.linear?.();
  return (plot, line, first, last) => {
    const whole = straight?.(plot, line, first, last) ?? null;
    const bounds = boundsOf();
    if (whole === null || bounds.size === 0) return whole;
    return { ...whole, stroke: draw(plot, line, first, last, bounds) };
  };
}

/**
 * @param {uPlot} plot
 * @param {number} line
 * @param {number} first
 * @param {number} last
 * @param {ReadonlySet<number>} bounds
 */
function draw(plot, line, first, last, bounds) {
  const path = new Path2D();
  const [times, values] = [plot.data[0], plot.data[line] ?? []];
  const scale = plot.series[line]?.scale ?? 'y';
  /** @type {Point & { isBound: boolean } | undefined} */
  let before;
  let drawn = 0;
  for (let index = first; index <= last; index += 1) {
    const [time, value] = [times[index] ?? 0, values[index]];
    // There only another line has a point.
    if (value === undefined) continue;
    if (value === null) {
      before = undefined;
      continue;
    }
    const isBound = bounds.has(time);
    const point = { x: plot.valToPos(time, 'x', true), y: plot.valToPos(value, scale, true), isBound };
    if (before === undefined) path.moveTo(point.x, point.y);
    else if (isBound || before.isBound) drawn = addDashes(path, before, point, drawn);
    else path.lineTo(point.x, point.y);
    before = point;
  }
  return path;
}

/**
 * @param {Path2D} path
 * @param {Point} from
 * @param {Point} to
 * @param {number} drawn How much of a dash and its gap is drawn already, so that short parts make whole dashes.
 * @returns {number} The same afterwards.
 */
function addDashes(path, from, to, drawn) {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  const [ofDash, ofBoth] = [dash * uPlot.pxRatio, (dash + gap) * uPlot.pxRatio];
  let phase = drawn;
  for (let at = 0; at < length; ) {
    const isDash = phase < ofDash;
    const step = Math.min((isDash ? ofDash : ofBoth) - phase, length - at);
    const end = (at + step) / length;
    const [x, y] = [from.x + (to.x - from.x) * end, from.y + (to.y - from.y) * end];
    if (isDash) path.lineTo(x, y);
    else path.moveTo(x, y);
    at += step;
    // What rounding leaves of one would take for ever.
    phase = phase + step > ofBoth - 0.01 ? 0 : phase + step > ofDash - 0.01 && isDash ? ofDash : phase + step;
  }
  path.moveTo(to.x, to.y);
  return phase;
}
