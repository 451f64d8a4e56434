/**
 * DDSketches as protobuf, the form in which Datadog's libraries for Go, Java, JavaScript and Python exchange them
 * (`DDSketch.proto` of sketches-go). `fromProto` of sketches-js is not used: it passes over the bins that other languages
 * keep as a map, and makes an array as long as the distance between any two keys that somebody sends.
 */
import { PbfReader, PbfWriter } from 'pbf';
import { readSketch, type Sketch, sketchGamma, sketchKeyMax } from './sketch.ts';
import type { SentSketch } from './sketch-fit.ts';

/** A sketch, yet to be fitted to its summary; or what is wrong with it. */
export type SketchFromProto = SentSketch | { readonly problem: string };

interface Message {
  gamma: number;
  offset: number;
  interpolation: number;
  zeros: number;
  readonly positive: Map<number, number>;
  readonly negative: Map<number, number>;
}

/** Reads a protobuf message `DDSketch`. */
export function sketchFromProto(bytes: Uint8Array): SketchFromProto {
  const message: Message = {
    gamma: Number.NaN,
    offset: 0,
    interpolation: 0,
    zeros: 0,
    positive: new Map(),
    negative: new Map(),
  };
  try {
    new PbfReader(bytes).readFields(readMessage, message);
  } catch {
    return { problem: 'is not a DDSketch as protobuf' };
  }
  const problem = problemOf(message);
  if (problem) return { problem };
  const { gamma, zeros, positive, negative } = message;
  const bins = { zeros, positive: withoutEmpty(positive), negative: withoutEmpty(negative) };
  return { bins, gamma, values: zeros + sumOf(positive) + sumOf(negative) };
}

/** The protobuf message `DDSketch` of a sketch; undefined where the bytes are none. */
export function sketchToProto(sketch: Sketch): Uint8Array | undefined {
  const reading = readSketch(sketch);
  if (reading === undefined) return undefined;
  const { zeros, positive, negative } = reading.toBins();
  const writer = new PbfWriter();
  writer.writeMessage(1, (_, mapping) => mapping.writeDoubleField(1, sketchGamma), undefined);
  for (const [field, bins] of [
    [2, positive],
    [3, negative],
  ] as const) {
    writer.writeMessage(field, writeStore, bins);
  }
  writer.writeDoubleField(4, zeros);
  return writer.finish();
}

function withoutEmpty(bins: Map<number, number>): Map<number, number> {
  for (const [key, count] of bins) if (count === 0) bins.delete(key);
  return bins;
}

function sumOf(bins: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const count of bins.values()) sum += count;
  return sum;
}

function problemOf({ gamma, offset, interpolation, zeros, positive, negative }: Message): string | undefined {
  if (!(Math.abs(gamma - sketchGamma) <= 1e-9) || offset !== 0 || interpolation !== 0) {
    return 'must have a logarithmic mapping with a relative accuracy of 0.01, no index offset and no interpolation';
  }
  const counts = [zeros, ...positive.values(), ...negative.values()];
  if (counts.some((count) => !Number.isInteger(count) || count < 0 || count > 2 ** 53)) {
    return 'must count whole values, at most 2^53';
  }
  const keys = [...positive.keys(), ...negative.keys()];
  if (keys.some((key) => Math.abs(key) > sketchKeyMax)) return 'has bins beyond those of double precision';
  return undefined;
}

function readMessage(field: number, message: Message, reader: PbfReader): void {
  if (field === 1) reader.readMessage(readMapping, message);
  else if (field === 2) readStore(reader, message.positive);
  else if (field === 3) readStore(reader, message.negative);
  else if (field === 4) message.zeros = reader.readDouble();
}

function readMapping(field: number, message: Message, reader: PbfReader): void {
  if (field === 1) message.gamma = reader.readDouble();
  else if (field === 2) message.offset = reader.readDouble();
  else if (field === 3) message.interpolation = reader.readVarint();
}

/** Counts in a row from a first key on, and a map from key to count: either, or both. */
function readStore(reader: PbfReader, bins: Map<number, number>): void {
  const store = { first: 0, counts: [] as number[], bins };
  reader.readMessage((field, _, inStore) => {
    if (field === 1) readEntry(inStore, bins);
    else if (field === 2) inStore.readPackedDouble(store.counts);
    else if (field === 3) store.first = inStore.readSVarint();
  }, store);
  store.counts.forEach((count, index) => {
    // A row of zeros may reach far beyond the bins.
    if (count !== 0) add(bins, store.first + index, count);
  });
}

function readEntry(reader: PbfReader, bins: Map<number, number>): void {
  const entry = { key: 0, count: 0 };
  reader.readMessage((field, _, inEntry) => {
    if (field === 1) entry.key = inEntry.readSVarint();
    else if (field === 2) entry.count = inEntry.readDouble();
  }, entry);
  add(bins, entry.key, entry.count);
}

function add(bins: Map<number, number>, key: number, count: number): void {
  bins.set(key, (bins.get(key) ?? 0) + count);
}

/** Counts in a row at most: of some 17 decades, 16 kB. */
const rowMax = 2_000;

/** In a row, which every library reads; as a map where that would be long and be zeros for the most part. */
function writeStore(bins: readonly (readonly [number, number])[], writer: PbfWriter): void {
  const [[first = 0] = []] = bins;
  const [last = first] = bins.at(-1) ?? [];
  if (last - first >= rowMax) {
    for (const bin of bins) writer.writeMessage(1, writeEntry, bin);
    return;
  }
  const counts = new Array<number>(bins.length === 0 ? 0 : last - first + 1).fill(0);
  for (const [key, count] of bins) counts[key - first] = count;
  writer.writePackedDouble(2, counts);
  writer.writeSVarintField(3, first);
}

function writeEntry([key, count]: readonly [number, number], writer: PbfWriter): void {
  writer.writeSVarintField(1, key);
  writer.writeDoubleField(2, count);
}
