import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createJsonSplitter } from '../../src/http/receivers/json-splitter.ts';
import { lineBytesMax } from '../../src/http/receivers/line-splitter.ts';

/** The elements of a text that comes in pieces, cut at these places. */
function split(text: string | Buffer, cuts: readonly number[] = []): (string | undefined)[] {
  const bytes = Buffer.from(text);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  const splitter = createJsonSplitter();
  const pieces = places.slice(1).map((place, index) => bytes.subarray(places[index], place));
  const lines = [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()];
  return lines.map((line) => line.text ?? line.problem);
}

const parse = (texts: readonly (string | undefined)[]) => texts.map((text) => JSON.parse(text ?? ''));
const anyCuts = fc.array(fc.nat(100_000), { maxLength: 8 });
const anyIndent = fc.constantFrom(undefined, 0, 1, 4, '\t');

test('gives the elements of any array, however it is printed and cut into pieces', () => {
  const anyArray = fc.array(fc.jsonValue(), { maxLength: 6 });
  fc.assert(
    fc.property(anyArray, anyIndent, anyCuts, (array, indent, cuts) => {
      expect(parse(split(`\r\n ${JSON.stringify(array, null, indent)}\n`, cuts))).toEqual(
        JSON.parse(JSON.stringify(array)),
      );
    }),
    { numRuns: 500 },
  );
});

test('gives objects that follow one another, and those of several arrays', () => {
  const anyObjects = fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 4 });
  fc.assert(
    fc.property(anyObjects, anyObjects, anyIndent, anyCuts, (some, others, indent, cuts) => {
      const print = (value: unknown) => JSON.stringify(value, null, indent);
      const text = [...some.map(print), print(others), print(some)].join('\n');
      expect(parse(split(text, cuts))).toEqual(JSON.parse(JSON.stringify([...some, ...others, ...some])));
    }),
  );
});

test.each([
  ['nothing', '', []],
  ['white space', ' \r\n\t', []],
  ['an empty array', '[ ]', []],
  ['a comma too many', '[{},,{},]', ['{}', '{}']],
  ['no array', 'true', ['true']],
  ['what is no JSON', '[{}, nonsense, "a,]b", {}]', ['{}', 'nonsense', '"a,]b"', '{}']],
  ['a quote that is escaped', '[{"name": "\\"}"}, {"name": "\\\\"}]', ['{"name": "\\"}"}', '{"name": "\\\\"}']],
  ['a long element', `[{}, {"a": "${'x'.repeat(lineBytesMax)}"}, {}]`, ['{}', 'is longer than 65536 bytes', '{}']],
  ['what is not UTF-8', Buffer.from('[{}, {"a": "\xff"}, {}]', 'latin1'), ['{}', 'is not UTF-8', '{}']],
])('takes %s', (_, text, elements) => {
  expect(split(text)).toEqual(elements);
});

test.each([
  ['[', 'after element 0'],
  ['[{},{}', 'after element 2'],
  ['[{}, {"name": "a', 'in the middle of element 2'],
  ['{', 'in the middle of element 1'],
  ['[{} 17', 'in the middle of element 2'],
  ['[{}, {"name": "a}, {}, {}]', 'in the middle of element 2'],
])('says where %s ends early', (text, where) => {
  expect(() => split(text)).toThrow(`the JSON ends early, ${where}`);
});

test('holds nothing of an element that is too long', () => {
  const splitter = createJsonSplitter();
  const before = process.memoryUsage().arrayBuffers;
  splitter.push(Buffer.from('[{"a": "'));
  for (let count = 0; count < 200; count += 1) expect(splitter.push(Buffer.alloc(1_000_000, 'x'))).toEqual([]);
  global.gc?.();
  expect(splitter.push(Buffer.from('"}, {}]')).map(({ text }) => text)).toEqual([undefined, '{}']);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(150_000_000);
});
