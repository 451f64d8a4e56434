import { PbfWriter } from 'pbf';

/** How a library numbers the bins of sizes, and which of them it merges where it is limited in their number. */
export interface Library {
  readonly gamma: number;
  readonly indexOf: (size: number) => number;
  readonly zeroMax: number;
}

const accuracy = 0.01;
const smallestNormal = 2.2250738585072014e-308;

/** `LogarithmicMapping` of sketches-go: the whole part, toward zero, less 1 below zero. */
export const go: Library = (() => {
  const gamma = (1 + accuracy) / (1 - accuracy);
  const multiplier = 1 / Math.log(gamma);
  return { gamma, indexOf: floorOf((size) => Math.log(size) * multiplier), zeroMax: smallestNormal * gamma };
})();

/** `LogLikeIndexMapping` of sketches-java. */
export const java: Library = (() => {
  const gamma = (1 + accuracy) / (1 - accuracy);
  const multiplier = Math.log(Math.E) / Math.log1p(gamma - 1);
  return { gamma, indexOf: floorOf((size) => Math.log(size) * multiplier), zeroMax: smallestNormal * gamma };
})();

/** `LogarithmicMapping` of sketches-py, and of sketches-js but for the size that counts as zero. */
export const python: Library = (() => {
  const mantissa = (2 * accuracy) / (1 - accuracy);
  const multiplier = (1 / Math.log1p(mantissa)) * Math.log(2);
  const indexOf = (size: number) => Math.ceil(Math.log2(size) * multiplier);
  return { gamma: 1 + mantissa, indexOf, zeroMax: smallestNormal * (1 + mantissa) };
})();

function floorOf(position: (size: number) => number): (size: number) => number {
  return (size) => {
    const index = position(size);
    return index >= 0 ? Math.trunc(index) : Math.trunc(index) - 1;
  };
}

export interface Limit {
  readonly bins: number;
  /** Which bins are merged. */
  readonly merged: 'lowest' | 'highest';
}

/** The protobuf message that a library makes of values, with or without a limit to the bins of each sign. */
export function protoOf(library: Library, values: readonly number[], limit?: Limit): Uint8Array {
  const [positive, negative] = [new Map<number, number>(), new Map<number, number>()];
  let zeros = 0;
  for (const value of values) {
    const size = Math.abs(value);
    if (size <= library.zeroMax) {
      zeros += 1;
      continue;
    }
    const bins = value < 0 ? negative : positive;
    const index = library.indexOf(size);
    bins.set(index, (bins.get(index) ?? 0) + 1);
  }
  const writer = new PbfWriter();
  writer.writeMessage(1, (_, mapping) => mapping.writeDoubleField(1, library.gamma), undefined);
  writer.writeMessage(2, writeMap, limited(positive, limit));
  writer.writeMessage(3, writeMap, limited(negative, limit));
  writer.writeDoubleField(4, zeros);
  return writer.finish();
}

function limited(bins: ReadonlyMap<number, number>, limit: Limit | undefined): ReadonlyMap<number, number> {
  if (limit === undefined || bins.size === 0) return bins;
  const [least, most] = [Math.min(...bins.keys()), Math.max(...bins.keys())];
  const kept = new Map<number, number>();
  for (const [key, count] of bins) {
    const within =
      limit.merged === 'lowest' ? Math.max(key, most - limit.bins + 1) : Math.min(key, least + limit.bins - 1);
    kept.set(within, (kept.get(within) ?? 0) + count);
  }
  return kept;
}

function writeMap(bins: ReadonlyMap<number, number>, writer: PbfWriter): void {
  for (const bin of bins) {
    writer.writeMessage(
      1,
      ([key, count], entry) => {
        entry.writeSVarintField(1, key);
        entry.writeDoubleField(2, count);
      },
      bin,
    );
  }
}
