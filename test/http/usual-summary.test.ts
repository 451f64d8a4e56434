import fc from 'fast-check';
import { expect, test } from 'vitest';
import { statisticNames } from '../../src/domain/summary.ts';
import { createSummarySchemas } from '../../src/http/receivers/summary-schema.ts';
import { now, validSummary } from '../support/test-app.ts';

const odd = fc.oneof(
  fc.constantFrom(null, true, '', '1', 'x', [], {}, -0, -1, 1e300, -1e300, 1.1e300, 2 ** 53, 2 ** 53 + 2),
  fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, undefined),
  fc.double(),
);
// Usual for the most part, so that what is odd is the only odd thing about it.
const anyName = fc.oneof(
  { weight: 8, arbitrary: fc.constant('foo.web') },
  fc.constantFrom('foo.web', 'ü', 'a\nb', 'a\u007fb', '\ud800', 'x'.repeat(255), 'x'.repeat(256), 'ü'.repeat(128)),
  fc.string({ unit: 'binary' }),
);
const anyBucket = fc.oneof(
  { weight: 8, arbitrary: fc.constant(now) },
  fc.constantFrom(now, now + 3_600, now + 3_601, now - 86_400, now - 86_401, now - 3.2e8, now * 1000, 0.1234567),
  fc.double({ min: now - 90_000, max: now + 4_000 }),
  fc.constant('2012-12-11 05:12:00 UTC'),
);
const anyItem = fc
  .record({
    name: anyName,
    bucket: anyBucket,
    fields: fc.dictionary(fc.constantFrom(...statisticNames, 'name', 'bucket', 'value', 'extra', '__proto__'), odd, {
      maxKeys: 2,
    }),
    missing: fc.option(fc.constantFrom(...statisticNames, 'name', 'bucket')),
  })
  .map(({ name, bucket, fields, missing }): Record<string, unknown> => {
    const item: Record<string, unknown> = { ...validSummary, name, bucket, ...fields };
    if (missing !== null) delete item[missing];
    return item;
  });

test.each([undefined, 86_400])('the short way gives what the schema gives, or nothing (RETENTION %s s)', (seconds) => {
  const schemas = createSummarySchemas({ now: () => now, retentionSeconds: seconds });
  fc.assert(
    fc.property(anyItem, (item) => {
      const usual = schemas.readUsual(item);
      if (usual === undefined) return;
      expect(item).not.toHaveProperty('value');
      expect(schemas.summary.safeParse(item)).toEqual({ success: true, data: usual });
    }),
    { numRuns: 5_000 },
  );
});

test('the short way is taken by a usual summary', () => {
  const schemas = createSummarySchemas({ now: () => now, retentionSeconds: undefined });
  expect(schemas.readUsual({ ...validSummary, extra: 1 })).toEqual(validSummary);
});

test.each([null, 7, 'text', [], [validSummary], { ...validSummary, value: 1 }])('and not by %j', (item) => {
  const schemas = createSummarySchemas({ now: () => now, retentionSeconds: undefined });
  expect(schemas.readUsual(item)).toBeUndefined();
});
