import { version } from 'uuid';
import { expect, test } from 'vitest';
import { statisticNames } from '../../src/domain/summary.ts';
import { importedIds, summaryIds } from '../../src/domain/summary-id.ts';
import { summaryOf } from '../support/summaries.ts';

const { id: _, ...content } = summaryOf({ bucket: 1_355_202_720 });

test('gives every summary a new UUIDv7 without a key', () => {
  const idOf = summaryIds(undefined);
  const ids = Array.from({ length: 100 }, () => idOf(content, 0));
  expect(new Set(ids).size).toBe(100);
  expect(ids.map(version)).toEqual(ids.map(() => 7));
});

test('gives ids without a key that sort by time of arrival', () => {
  const idOf = summaryIds(undefined);
  const ids = Array.from({ length: 100 }, (_, position) => idOf(content, position));
  expect(ids.toSorted()).toEqual(ids);
});

test('gives the same UUIDv5 for the same key, position and content, in every process', () => {
  const id = summaryIds('key')(content, 0);
  expect(version(id)).toBe(5);
  expect(summaryIds('key')({ ...content }, 0)).toBe(id);
  // As a literal: an id that another version of m2pg computed must never be counted a second time.
  expect(id).toBe('c670698f-49c6-5aee-bb25-6bdc2db893b8');
});

test('does not depend on the order of the fields', () => {
  const reversed = Object.fromEntries(Object.entries(content).toReversed()) as typeof content;
  expect(summaryIds('key')(reversed, 0)).toBe(summaryIds('key')(content, 0));
});

test.each([
  ['position', summaryIds('key')(content, 1)],
  ['key', summaryIds('other')(content, 0)],
  ['name', summaryIds('key')({ ...content, name: 'other' }, 0)],
  ['bucket', summaryIds('key')({ ...content, bucket: content.bucket + 0.000001 }, 0)],
  ...statisticNames.map((name) => [name, summaryIds('key')({ ...content, [name]: 77 }, 0)]),
])('gives another id for another %s', (_, id) => {
  expect(id).not.toBe(summaryIds('key')(content, 0));
});

test('does not confuse a key and a position that read alike when joined', () => {
  expect(summaryIds('key1')(content, 2)).not.toBe(summaryIds('key')(content, 12));
});

test('what is imported keeps its id where it has one, in lower case, and else gets the same one each time', () => {
  const idOf = importedIds('file');
  const id = '0192F0C1-2b3c-7d4e-8f50-112233445566';
  expect(idOf(content, 0, id)).toBe(id.toLowerCase());
  for (const given of [undefined, null, 7, '', 'mine', `${id}0`]) {
    expect(idOf(content, 3, given)).toBe(importedIds('file')(content, 3, undefined));
  }
  expect(idOf(content, 4, undefined)).not.toBe(idOf(content, 3, undefined));
  expect(importedIds('other')(content, 3, undefined)).not.toBe(idOf(content, 3, undefined));
});
