import { DDSketch } from '@datadog/sketches-js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { go, java, protoOf, python } from '../support/foreign-sketches.ts';
import { createTestApp, now, problemOf, validSummary } from '../support/test-app.ts';

type Entries = readonly { readonly bucket: number; readonly value: number }[];
type Series = Readonly<Record<string, Entries>> & { readonly units?: string };

/** What an outlet sends that has the values of a bucket. */
function summaryOfValues(values: readonly number[], fields: object = {}) {
  const sketch = new DDSketch({ relativeAccuracy: 0.01 });
  for (const value of values) sketch.accept(value);
  const inOrder = values.toSorted((a, b) => a - b);
  const at = (share: number) => inOrder[Math.floor(share * inOrder.length)];
  return {
    name: 'a',
    bucket: validSummary.bucket,
    count: values.length,
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    median: at(0.5),
    min: at(0),
    max: inOrder.at(-1),
    perc95: at(0.95),
    perc99: at(0.99),
    last: values.at(-1),
    sketch: Buffer.from(sketch.toProto()).toString('base64'),
    ...fields,
  };
}

async function seriesAfter(
  summaries: readonly object[],
  query: Record<string, string> = {},
): Promise<Series | undefined> {
  const { post, get } = createTestApp();
  expect((await post(summaries)).status).toBe(201);
  const response = await get({ resolution: 'hour', ...query });
  expect(response.status).toBe(200);
  return ((await response.json()) as Series[])[0];
}

describe('summaries with sketches', () => {
  test('give percentiles of a group within 1 % of the exact ones, any that are asked for', async () => {
    const values = fc.array(fc.double({ min: 0.01, max: 10_000, noNaN: true }), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.array(values, { minLength: 2, maxLength: 5 }), async (parts) => {
        const summaries = parts.map((part, index) =>
          summaryOfValues(part, { bucket: validSummary.bucket - index * 60 }),
        );
        const series = await seriesAfter(summaries, { perc: '50,90,99.9,100' });
        const all = parts.flat().toSorted((a, b) => a - b);
        for (const [key, percent] of Object.entries({
          median: 50,
          perc95: 95,
          perc99: 99,
          perc50: 50,
          perc90: 90,
          'perc99.9': 99.9,
        })) {
          const exact =
            all[Math.min(all.length - 1, Math.floor((Math.round(10 * percent) * all.length) / 1_000))] ?? Number.NaN;
          expect(Math.abs((series?.[key]?.[0]?.value ?? Number.NaN) / exact - 1)).toBeLessThanOrEqual(0.0101);
        }
        expect(series?.perc100?.[0]?.value).toBeLessThanOrEqual(all.at(-1) ?? 0);
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ['70', 90, 63],
    ['99.99', 10_000, 9_999],
  ])('give perc=%s of %d values at its rank, %d, not at the one below', async (perc, count, rank) => {
    // So far apart that no two are within 1 % of each other.
    const values = Array.from({ length: count }, (_, index) => (index < rank ? 1 : 2));
    const series = await seriesAfter([summaryOfValues(values)], { perc });
    expect(series?.[`perc${perc}`]?.[0]?.value).toBeCloseTo(2, 1);
  });

  test('give percentiles only where all summaries of a bucket carry one', async () => {
    const { sketch: _, ...bare } = summaryOfValues([1, 2, 3]);
    const series = await seriesAfter(
      [summaryOfValues([1]), bare, summaryOfValues([5], { bucket: validSummary.bucket - 60 })],
      {
        perc: '50',
        resolution: 'minute',
      },
    );
    expect(series?.perc50?.map(({ bucket }) => bucket)).toEqual([validSummary.bucket - 60]);
    expect(series?.median).toHaveLength(2);
  });

  test.each(['95', '99', '95,99'])('give perc=%s once, as every answer has it', async (perc) => {
    expect(Object.keys((await seriesAfter([summaryOfValues([1])], { perc })) ?? {})).toEqual(
      Object.keys((await seriesAfter([summaryOfValues([1])])) ?? {}),
    );
  });

  test.each(['', 'x', '101', '-1', '50,', '1e1', Array(21).fill('1').join(',')])('refuse perc=%s', async (perc) => {
    const response = await createTestApp().get({ perc });
    expect([response.status, (await problemOf(response)).errors?.[0]?.path]).toEqual([422, 'perc']);
  });

  test.each<[string, unknown, RegExp]>([
    ['is no text', 5, /base64/],
    ['is not base64', '***', /base64/],
    ['is not protobuf', 'AAAA', /DDSketch/],
    ['is of other values', summaryOfValues([1, 2]).sketch, /2 values, and count says 1/],
    [
      'has another accuracy',
      Buffer.from(new DDSketch({ relativeAccuracy: 0.02 }).toProto()).toString('base64'),
      /0\.01/,
    ],
  ])('are refused where it %s', async (_, sketch, message) => {
    const { post, stored } = createTestApp();
    const response = await post({ ...summaryOfValues([1]), sketch });
    expect(response.status).toBe(422);
    expect((await problemOf(response)).errors).toEqual([{ path: 'sketch', message: expect.stringMatching(message) }]);
    expect(stored()).toEqual([]);
  });

  test.each(Object.entries({ go, java, python }))(
    'of the library for %s give the right percentiles',
    async (_, library) => {
      const values = Array.from({ length: 200 }, (__, index) => 3 + index ** 1.7);
      const parts = [values.slice(0, 60), values.slice(60)];
      const summaries = parts.map((part, index) =>
        summaryOfValues(part, {
          bucket: validSummary.bucket - index * 60,
          sketch: Buffer.from(protoOf(library, part)).toString('base64'),
        }),
      );
      const series = await seriesAfter(summaries, { perc: '5,50,90' });
      for (const percent of [5, 50, 90, 95]) {
        const exact = values[2 * percent] ?? Number.NaN;
        expect(Math.abs((series?.[`perc${percent}`]?.[0]?.value ?? Number.NaN) / exact - 1)).toBeLessThan(0.010_001);
      }
    },
  );

  test.each([
    ['of other values', { min: 2 }],
    [
      'limited to too few bins',
      { sketch: Buffer.from(protoOf(go, [1, 2, 300], { bins: 100, merged: 'lowest' })).toString('base64') },
    ],
  ])('%s are refused, with words, also as a line of a bulk load', async (_, fields) => {
    const { post, stored } = createTestApp();
    const summary = summaryOfValues([1, 2, 300], fields);
    const response = await post(summary);
    expect(response.status).toBe(422);
    const message = expect.stringMatching(/does not fit: its lowest values are .* and min is/);
    expect((await problemOf(response)).errors).toEqual([{ path: 'sketch', message }]);
    const lines = `${JSON.stringify(summary)}\n${JSON.stringify(summaryOfValues([1]))}`;
    const bulk = await post(lines, { 'Content-Type': 'application/x-ndjson' });
    expect(await bulk.json()).toEqual({ stored: 1, refused: 1, errors: [{ line: 1, path: 'sketch', message }] });
    expect(stored()).toHaveLength(1);
  });

  test('with the same key count once, and others with another sketch are others', async () => {
    const { post, stored } = createTestApp();
    const headers = { 'Idempotency-Key': 'k' };
    const summary = summaryOfValues([1, 2, 5]);
    await post(summary, headers);
    await post(summary, headers);
    expect(stored()).toHaveLength(1);
    await post({ ...summary, sketch: summaryOfValues([1, 4, 5]).sketch }, headers);
    expect(stored()).toHaveLength(2);
  });
});

describe('units', () => {
  test('are given back with the series', async () => {
    expect(await seriesAfter([summaryOfValues([1], { units: 'ms' })])).toMatchObject({ units: 'ms' });
    expect(await seriesAfter([{ name: 'a', bucket: now, value: 1, units: '°C' }])).toMatchObject({ units: '°C' });
    for (const units of [undefined, null, '']) {
      expect(await seriesAfter([summaryOfValues([1], { units })])).not.toHaveProperty('units');
    }
  });

  test.each([5, 'x'.repeat(33), 'a\nb'])('that are %j are refused', async (units) => {
    const response = await createTestApp().post({ name: 'a', bucket: now, value: 1, units });
    expect([response.status, (await problemOf(response)).errors?.[0]?.path]).toEqual([422, 'units']);
  });
});
