/**
 * DDSketches, from which percentiles of any number of values can be had within 1 % of the exact ones, and which can be
 * merged without loss (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
 * Guarantees", PVLDB 12:12, 2019). The mapping of values to bins is that of `@datadog/sketches-js`, which all of Datadog's
 * libraries share; its own `merge` is not used, since it leaves out the negative values.
 *
 * A sketch is kept as bytes. One after another, with nothing between, sketches are the sketch of all of their values: so
 * PostgreSQL can gather those of a group without understanding them, and `mergeSketches` makes one of them at any time.
 *
 * Format, of unsigned LEB128 integers: how many summaries it is of, how many values are zero; then of the positive values
 * and of the negative ones: how many bins, and of each bin its distance to the one before and how many values it holds.
 * The distance of the first is its key, zigzag encoded; keys ascend.
 */
import { DDSketch } from '@datadog/sketches-js';

/** Bytes; empty where there is none. */
export type Sketch = Uint8Array;

/** None: not of any summary. */
export const noSketch: Sketch = new Uint8Array(0);

const { mapping } = new DDSketch({ relativeAccuracy: 0.01 });

/** The ratio of the bounds of a bin: (1 + a) / (1 − a) with a relative accuracy a of 1 %. */
export const sketchGamma = mapping.gamma;

/** Values up to this size count as zero in the libraries for Go, Java and Python; in that for JavaScript, up to half of it. */
export const sketchZeroMax = 2.3e-308;

/** Of the bins of all doubles: the smallest has key −35,453, the greatest 35,489. */
export const sketchKeyMax = 35_500;

/** Millionths: as fine as a percentile can be asked for. */
const partsOfPercent = 1_000_000;

/**
 * The rule by which all percentiles are taken: which of n values in ascending order, counted from 0, is the percentile p. It is p × n /
 * 100, rounded down, as l2met took it, and the last value for what is beyond. The result is exact for every p of up to six decimals:
 * 99.99 × 10,000 / 100 is 9,999, where binary fractions come to a little less.
 *
 * Not p / 100 × (n − 1) as in sketches-js, which takes the ninth of ten values as p95, and the lesser of two.
 *
 * @param percent From 0 to 100.
 */
export function rankOf(percent: number, values: number): number {
  const parts = Math.round(percent * partsOfPercent);
  const product = parts * values;
  const whole = 100 * partsOfPercent;
  const rank = Number.isSafeInteger(product)
    ? (product - (product % whole)) / whole
    : Number((BigInt(parts) * BigInt(values)) / BigInt(whole));
  return Math.min(values - 1, rank);
}

/** The bins of a sketch while they are counted: how many values each holds, by its key. */
export interface Bins {
  zeros: number;
  readonly positive: Map<number, number>;
  readonly negative: Map<number, number>;
}

/** How many values have been seen at each size. */
export function binsOf(values: readonly number[]): Bins {
  const bins: Bins = { zeros: 0, positive: new Map(), negative: new Map() };
  for (const value of values) {
    const size = Math.abs(value);
    if (size <= mapping.minPossible) {
      bins.zeros += 1;
      continue;
    }
    const ofSign = value < 0 ? bins.negative : bins.positive;
    const key = mapping.key(size);
    ofSign.set(key, (ofSign.get(key) ?? 0) + 1);
  }
  return bins;
}

/** The sketch of one summary. Counts are whole and at most 2^53, keys at most `sketchKeyMax` in size. */
export function sketchOf({ zeros, positive, negative }: Bins): Sketch {
  const inOrder = (bins: ReadonlyMap<number, number>) => [...bins].sort(([a], [b]) => a - b);
  return encode(1, zeros, inOrder(positive), inOrder(negative));
}

/** What a sketch says. */
export interface SketchReading {
  /** How many summaries it is of: with fewer than there are in a group, it does not stand for the group. */
  readonly summaries: number;
  /** How many values. */
  readonly values: number;
  /** The value at `rankOf` a percentile between 0 and 100; NaN of no values. */
  percentile(percent: number): number;
  /** The same as one sketch. */
  toSketch(): Sketch;
  /** Keys ascending. */
  toBins(): { zeros: number; positive: readonly Bin[]; negative: readonly Bin[] };
}

type Bin = readonly [key: number, count: number];

/** Reads one or several sketches that stand one after another. Undefined: the bytes are not sketches. */
export function readSketch(bytes: Sketch): SketchReading | undefined {
  const reader = { bytes, at: 0 };
  let summaries = 0;
  let zeros = 0;
  const [positive, negative] = [createBinsArray(), createBinsArray()];
  try {
    while (reader.at < bytes.length) {
      summaries += readInteger(reader);
      zeros += readInteger(reader);
      readBins(reader, positive);
      readBins(reader, negative);
    }
  } catch {
    // Somebody changed them. The summaries still have their statistics.
    return undefined;
  }
  const values = zeros + positive.total() + negative.total();
  return {
    summaries,
    values,
    percentile(percent) {
      if (values === 0) return Number.NaN;
      const rank = rankOf(percent, values);
      const below = negative.total();
      if (rank < below) return -mapping.value(negative.keyAtRank(below - rank - 1));
      if (rank < below + zeros) return 0;
      return mapping.value(positive.keyAtRank(rank - below - zeros));
    },
    toSketch: () => encode(summaries, zeros, positive.inOrder(), negative.inOrder()),
    toBins: () => ({ zeros, positive: positive.inOrder(), negative: negative.inOrder() }),
  };
}

/** One sketch of those that stand one after another; none of what is none. */
export function mergeSketches(bytes: Sketch): Sketch {
  return bytes.length === 0 ? noSketch : (readSketch(bytes)?.toSketch() ?? noSketch);
}

/** Counts by key in an array that grows with the range of keys: a tenth of the time that a Map takes. */
function createBinsArray() {
  let counts = new Float64Array(0);
  let first = 0;
  let sum = 0;

  const makeRoomFor = (key: number) => {
    const end = first + counts.length;
    if (key >= first && key < end) return;
    // As much again at both ends, so that ever more distant keys do not copy all at every step.
    const spare = 64 + counts.length;
    const from = (counts.length === 0 ? key : Math.min(first, key)) - spare;
    const larger = new Float64Array((counts.length === 0 ? key + 1 : Math.max(end, key + 1)) + spare - from);
    if (counts.length > 0) larger.set(counts, first - from);
    [counts, first] = [larger, from];
  };

  return {
    add(key: number, count: number) {
      makeRoomFor(key);
      counts[key - first] = (counts[key - first] ?? 0) + count;
      sum += count;
    },
    total: () => sum,
    /** Of the value of a rank among these, from 0, by size. */
    keyAtRank(rank: number): number {
      let seen = 0;
      let key = first;
      for (const count of counts) {
        seen += count;
        if (seen > rank) break;
        key += 1;
      }
      return key;
    },
    inOrder(): Bin[] {
      const bins: Bin[] = [];
      counts.forEach((count, index) => {
        if (count > 0) bins.push([first + index, count]);
      });
      return bins;
    },
  };
}

interface Reader {
  readonly bytes: Uint8Array;
  at: number;
}

function readBins(reader: Reader, into: ReturnType<typeof createBinsArray>): void {
  const length = readInteger(reader);
  let key = 0;
  for (let index = 0; index < length; index += 1) {
    const distance = readInteger(reader);
    key += index === 0 ? unzigzag(distance) : distance;
    if (Math.abs(key) > sketchKeyMax) throw new Error(`not a sketch: it has a bin ${key}`);
    into.add(key, readInteger(reader));
  }
}

function readInteger(reader: Reader): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = reader.bytes[reader.at];
    if (byte === undefined || scale > 2 ** 56) throw new Error('not a sketch: its bytes end early');
    reader.at += 1;
    value += (byte & 127) * scale;
    if (byte < 128) return value;
  }
}

function encode(summaries: number, zeros: number, positive: readonly Bin[], negative: readonly Bin[]): Sketch {
  const bytes: number[] = [];
  writeInteger(bytes, summaries);
  writeInteger(bytes, zeros);
  for (const bins of [positive, negative]) {
    writeInteger(bytes, bins.length);
    let before: number | undefined;
    for (const [key, count] of bins) {
      writeInteger(bytes, before === undefined ? zigzag(key) : key - before);
      writeInteger(bytes, count);
      before = key;
    }
  }
  return Uint8Array.from(bytes);
}

function writeInteger(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}

function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function unzigzag(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}
