import { DDSketch } from '@datadog/sketches-js';
import fc from 'fast-check';
import { PbfWriter } from 'pbf';
import { describe, expect, test } from 'vitest';
import { binsOf, readSketch, sketchGamma, sketchOf } from '../../src/domain/sketch.ts';
import { sketchFromProto, sketchToProto } from '../../src/domain/sketch-proto.ts';
import { anySketch } from '../support/summaries.ts';

interface Given {
  readonly gamma?: number;
  readonly offset?: number;
  readonly interpolation?: number;
  readonly map?: readonly (readonly [number, number])[];
  readonly row?: readonly [first: number, ...counts: number[]];
  readonly zeros?: number;
}

/** A message as the libraries of several languages write it. */
function messageOf({
  gamma = sketchGamma,
  offset = 0,
  interpolation = 0,
  map = [],
  row,
  zeros = 0,
}: Given): Uint8Array {
  const writer = new PbfWriter();
  writer.writeMessage(
    1,
    (_, mapping) => {
      mapping.writeDoubleField(1, gamma);
      mapping.writeDoubleField(2, offset);
      mapping.writeVarintField(3, interpolation);
    },
    undefined,
  );
  writer.writeMessage(
    2,
    (_, store) => {
      for (const [key, count] of map) {
        store.writeMessage(
          1,
          (__, entry) => {
            entry.writeSVarintField(1, key);
            entry.writeDoubleField(2, count);
          },
          undefined,
        );
      }
      if (row) {
        store.writePackedDouble(2, row.slice(1));
        store.writeSVarintField(3, row[0]);
      }
    },
    undefined,
  );
  writer.writeDoubleField(4, zeros);
  return writer.finish();
}

describe('a sketch as protobuf', () => {
  test('is read with its bins in a row, in a map, or both', () => {
    const positive = new Map([
      [-2, 3],
      [0, 1],
      [7, 2],
    ]);
    for (const given of [
      { row: [-2, 3, 0, 1, 0, 0, 0, 0, 0, 0, 2] },
      { map: [...positive] },
      { row: [-2, 3, 0, 1], map: [[7, 2]] },
      { row: [-2, 1, 0, 1], map: [...positive].map(([key, count]) => [key, key === -2 ? 2 : key === 0 ? 0 : count]) },
    ] as Given[]) {
      const bins = { zeros: 4, positive, negative: new Map() };
      expect(sketchFromProto(messageOf({ ...given, zeros: 4 }))).toEqual({ bins, gamma: sketchGamma, values: 10 });
    }
  });

  test('comes back as it was, and is what the library of Datadog reads', () => {
    fc.assert(
      fc.property(anySketch, (sketch) => {
        const read = sketchFromProto(sketchToProto(sketch) as Uint8Array);
        expect('bins' in read && readSketch(sketchOf(read.bins))?.toBins()).toEqual(readSketch(sketch)?.toBins());
      }),
    );
    const values = [3, 1, 4, 1, 5, 9, 2.6, 0];
    const theirs = DDSketch.fromProto(sketchToProto(sketchOf(binsOf(values))) as Uint8Array);
    expect(theirs.getValueAtQuantile(0.5)).toBeCloseTo(2.6, 1);
  });

  test('is short also of values that are as far apart as can be', () => {
    const bins = binsOf([1e-300, -1e-300, 1, -1e300, 1e300]);
    const proto = sketchToProto(sketchOf(bins)) as Uint8Array;
    expect(proto.length).toBeLessThan(200);
    expect(sketchFromProto(proto)).toEqual({ bins, gamma: sketchGamma, values: 5 });
  });

  test.each<[string, Given]>([
    ['another accuracy', { gamma: 1.04 }],
    ['an index offset', { offset: 1 }],
    ['an interpolation', { interpolation: 3 }],
    ['a part of a value', { row: [1, 0.5] }],
    ['less than no value', { map: [[1, -1]] }],
    ['what is not a number', { map: [[1, Number.NaN]] }],
    ['too many values', { zeros: 2 ** 54 }],
    ['a bin beyond all doubles', { map: [[2 ** 31 - 1, 1]] }],
    [
      'bins as far apart as can be',
      {
        map: [
          [-(2 ** 31), 1],
          [2 ** 31 - 1, 1],
        ],
      },
    ],
  ])('is refused with %s', (_, given) => {
    expect(sketchFromProto(messageOf(given))).toHaveProperty('problem');
  });

  test('is refused, and nothing worse, when it is any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(sketchFromProto(bytes)).toHaveProperty('problem');
      }),
    );
    const message = messageOf({ row: [-2, 3, 0, 1] });
    for (let length = 0; length < message.length; length += 1) sketchFromProto(message.subarray(0, length));
  });
});
