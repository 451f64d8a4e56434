/**
 * Fits a DDSketch that was sent to the summary that carries it, and gives it the bins of this project.
 *
 * Datadog's libraries number their bins in two ways, and the message does not say which:
 *
 * | library            | bin of a value v  | bin k holds       |
 * |--------------------|-------------------|-------------------|
 * | JavaScript, Python | ⌈log_γ v⌉         | γ^(k − 1) to γ^k  |
 * | Go, Java           | ⌊log_γ v⌋         | γ^k to γ^(k + 1)  |
 *
 * Read the wrong way, all values are 2 % too low or too high. So the summary decides: its min has to be in the lowest bin, its max
 * in the highest.
 *
 * 1. Test both ways. If one fits, it is that one.
 * 2. If both fit, min and max are at bounds of bins, as 1 is. If there are bins between, the other statistics decide: in which way
 *    more of them are in bins that hold values; then in which way the mean is possible, or is so in less room.
 * 3. If neither fits, test again with min and max rounded.
 * 4. If neither fits then, the sketch is refused. It is of other values, or it was limited to fewer bins than its values need: the
 *    values at one end are then in a bin that is not theirs.
 *
 * A limit that has merged bins near zero cannot be seen where there are zeros, or values of both signs.
 */
import { type Bins, type Sketch, sketchOf, sketchZeroMax } from './sketch.ts';
import type { Statistics } from './summary.ts';

/** A sketch as it was sent: its bins are numbered in one of the two ways. */
export interface SentSketch {
  readonly bins: Bins;
  /** The ratio of the bounds of a bin. */
  readonly gamma: number;
  /** How many it is of. */
  readonly values: number;
}

/** By how much a value may miss its bin, in bins. Logarithms are computed in several ways. */
const slack = 1e-6;

/** And by how much where it may be rounded: 0.1 % of the value, so to four digits. More would hide that a bin is missing. */
const slackOfRounded = 0.05;

/** What is added to the number of a bin to have that of this project. */
const shifts = [0, 1] as const;

type Fitted = { readonly sketch: Sketch } | { readonly problem: string };

/** The sketch of a summary that comes out of a store, or what is wrong with it: its bins are those of this project. */
export function keepSketch({ bins, values }: SentSketch, { count }: Statistics): Fitted {
  return values === count ? { sketch: sketchOf(bins) } : { problem: `is of ${values} values, and count says ${count}` };
}

/** The sketch of a summary, or what is wrong with it. */
export function fitSketch(sent: SentSketch, statistics: Statistics): Fitted {
  const { bins } = sent;
  const kept = keepSketch(sent, statistics);
  if ('problem' in kept) return kept;
  const ends = endsOf(bins);
  const [[lowest] = [], highest] = [ends, ends.at(-1)];
  if (lowest === undefined || highest === undefined) return kept;
  const found = [slack, slackOfRounded].map((allowed) => fitEnds(sent, lowest, highest, statistics, allowed));
  const fitting = found.find((ways) => ways.both.length > 0)?.both;
  if (fitting) return { sketch: sketchOf(shiftBins(bins, likeliest(fitting, sent, statistics))) };
  return { problem: `does not fit: ${describeMisfit(sent, lowest, highest, statistics)}; ${limitHint}` };
}

const limitHint = 'a sketch that is limited to fewer bins than its values need cannot be taken';

/** The ways in which min and max are in their bins. */
function fitEnds({ gamma }: SentSketch, lowest: End, highest: End, { min, max }: Statistics, allowed: number) {
  const ofMin = shifts.filter((shift) => isIn(lowest, shift, min, gamma, allowed));
  const ofMax = shifts.filter((shift) => isIn(highest, shift, max, gamma, allowed));
  return { ofMin, ofMax, both: ofMin.filter((shift) => ofMax.includes(shift)) };
}

function describeMisfit(sent: SentSketch, lowest: End, highest: End, statistics: Statistics): string {
  const { min, max } = statistics;
  const { ofMin, ofMax } = fitEnds(sent, lowest, highest, statistics, slackOfRounded);
  if (ofMin.length === 0) return `its lowest values are ${describe(lowest, sent.gamma)}, and min is ${min}`;
  if (ofMax.length === 0) return `its highest values are ${describe(highest, sent.gamma)}, and max is ${max}`;
  return `either min, ${min}, or max, ${max}, is a bin away from its lowest or highest values`;
}

/** The first or the last bin that holds values. */
interface End {
  /** Of the values; 0: of those that count as zero. */
  readonly sign: -1 | 0 | 1;
  /** Of the size of the values. */
  readonly key: number;
}

/** The ends of the negative bins, the zeros and the ends of the positive bins, ascending by value. */
function endsOf({ zeros, positive, negative }: Bins): readonly End[] {
  const [below, above] = [spanOf(negative).toReversed(), spanOf(positive)];
  return [
    ...below.map((key) => ({ sign: -1 as const, key })),
    ...(zeros > 0 ? [{ sign: 0 as const, key: 0 }] : []),
    ...above.map((key) => ({ sign: 1 as const, key })),
  ];
}

function spanOf(bins: ReadonlyMap<number, number>): number[] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const key of bins.keys()) [least, most] = [Math.min(least, key), Math.max(most, key)];
  return bins.size > 0 ? [least, most] : [];
}

function isIn({ sign, key }: End, shift: number, value: number, gamma: number, allowed: number): boolean {
  const size = Math.abs(value);
  if (sign === 0) return size <= sketchZeroMax;
  if (Math.sign(value) !== sign) return false;
  const above = positionOf(size, gamma) - (key + shift - 1);
  return above > -allowed && above < 1 + allowed;
}

function positionOf(size: number, gamma: number): number {
  return Math.log(size) / Math.log(gamma);
}

/** The values that the bin may hold, whichever way it is numbered. */
function describe({ sign, key }: End, gamma: number): string {
  if (sign === 0) return '0';
  const bounds = [sign * gamma ** (key - 1), sign * gamma ** (key + 1)].toSorted((a, b) => a - b);
  return bounds.map((bound) => Number(bound.toPrecision(4))).join(' to ');
}

/** Picks one of the ways that fit min and max. */
function likeliest(fitting: readonly number[], { bins, gamma, values }: SentSketch, statistics: Statistics): number {
  const { mean, min, max, median, perc95, perc99, last } = statistics;
  const [first = 0] = fitting;
  const between = bins.positive.size + bins.negative.size - Number(min !== 0) - Number(max !== 0 && max !== min);
  if (fitting.length === 1 || between <= 0) return first;
  const ways = fitting.map((shift) => {
    const shifted = shiftBins(bins, shift);
    const held = [median, perc95, perc99, last].filter((value) => isHeld(shifted, value, gamma)).length;
    const [least, most] = meanBounds(shifted, gamma, values, statistics);
    const missed = Math.max(0, least - mean, mean - most);
    const isRounding = missed < 1e-9 * Math.max(Math.abs(min), Math.abs(max));
    return { shift, held, missed: isRounding ? 0 : missed, room: most - least };
  });
  return ways.toSorted((a, b) => b.held - a.held || a.missed - b.missed || a.room - b.room)[0]?.shift ?? first;
}

/** True if the bin of a value is not empty. A value at the bound of two bins may be in either. */
function isHeld({ zeros, positive, negative }: Bins, value: number, gamma: number): boolean {
  const size = Math.abs(value);
  if (size <= sketchZeroMax) return zeros > 0;
  const [ofSign, position] = [value > 0 ? positive : negative, positionOf(size, gamma)];
  return ofSign.has(Math.ceil(position - slack)) || ofSign.has(Math.ceil(position + slack));
}

/** The bounds of the mean of the values. Counts become weights: a sum of values of 1e300 would overflow. */
function meanBounds(
  { positive, negative }: Bins,
  gamma: number,
  values: number,
  { min, max }: Statistics,
): [least: number, most: number] {
  const within = (value: number) => Math.min(Math.max(value, min), max);
  let [least, most] = [0, 0];
  for (const [sign, bins] of [[1, positive] as const, [-1, negative] as const]) {
    for (const [key, count] of bins) {
      const bounds = [within(sign * gamma ** (key - 1)), within(sign * gamma ** key)];
      least += Math.min(...bounds) * (count / values);
      most += Math.max(...bounds) * (count / values);
    }
  }
  return [least, most];
}

function shiftBins({ zeros, positive, negative }: Bins, shift: number): Bins {
  if (shift === 0) return { zeros, positive, negative };
  const shifted = (bins: ReadonlyMap<number, number>) => new Map([...bins].map(([key, count]) => [key + shift, count]));
  return { zeros, positive: shifted(positive), negative: shifted(negative) };
}
