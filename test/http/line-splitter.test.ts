import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLineSplitter, type Line, lineBytesMax } from '../../src/http/receivers/line-splitter.ts';

function split(pieces: readonly Buffer[]): readonly Line[] {
  const splitter = createLineSplitter();
  return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()];
}

const texts = (lines: readonly Line[]) => lines.map(({ text, problem }) => text ?? problem);

/** The obvious way: all at once, line by line. */
function splitObviously(bytes: Buffer): readonly (string | undefined)[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (const [index, byte] of bytes.entries()) {
    if (byte !== 10) continue;
    lines.push(bytes.subarray(start, index));
    start = index + 1;
  }
  if (start < bytes.length) lines.push(bytes.subarray(start));
  return lines.map((line) => {
    if (line.length > lineBytesMax) return `is longer than ${lineBytesMax} bytes`;
    return isUtf8(line) ? line.toString() : 'is not UTF-8';
  });
}

const longest = 'x'.repeat(lineBytesMax);
const anyLine = fc.oneof(
  fc.constantFrom('', '{}', 'ü', '✓✓', '\u{1F600}', '\r'),
  fc.string({ unit: 'grapheme', maxLength: 5 }),
  fc.uint8Array({ maxLength: 3 }),
  fc.constantFrom(longest, `${longest}x`, 'ü'.repeat(lineBytesMax / 2), 'ü'.repeat(lineBytesMax / 2 + 1)),
);

test('gives the same lines however the bytes are cut into pieces', () => {
  const anyCuts = fc.array(fc.nat(200_000), { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(anyLine, { maxLength: 6 }), fc.constantFrom('', '\n'), anyCuts, (lines, end, cuts) => {
      const parts = lines.flatMap((line, index) => [Buffer.from(index > 0 ? '\n' : ''), Buffer.from(line as string)]);
      const bytes = Buffer.concat([...parts, Buffer.from(end)]);
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
      const pieces = places.slice(1).map((place, index) => bytes.subarray(places[index], place));
      expect(texts(split(pieces))).toEqual(splitObviously(bytes));
    }),
    { numRuns: 500 },
  );
});

test('cuts within a character', () => {
  const bytes = Buffer.from('a✓b\nc');
  for (let at = 0; at <= bytes.length; at += 1) {
    expect(texts(split([bytes.subarray(0, at), bytes.subarray(at)]))).toEqual(['a✓b', 'c']);
  }
});

test('holds nothing of a line that is too long', () => {
  const splitter = createLineSplitter();
  const piece = Buffer.alloc(1_000_000, 'x');
  const before = process.memoryUsage().arrayBuffers;
  for (let count = 0; count < 200; count += 1) expect(splitter.push(Buffer.from(piece))).toEqual([]);
  global.gc?.();
  expect(texts(splitter.push(Buffer.from('\nnext\n')))).toEqual([`is longer than ${lineBytesMax} bytes`, 'next']);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(150_000_000);
});
