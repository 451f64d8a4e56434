import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const document = readFileSync(join(root, 'docs/GUARANTEES.md'), 'utf8');

/** `file`: "name of a test" */
const references = [...document.matchAll(/`(test\/[^`]+)`: "([^"]+)"/g)].map(
  ([, file = '', name = '']) => [file, name] as const,
);

test.each(references)('%s has the test "%s"', (file, name) => {
  expect(readFileSync(join(root, file), 'utf8')).toContain(`'${name}'`);
});

test('every guarantee names a test, or where it was measured', () => {
  const rows = document.split('\n').filter((line) => /^\| G\d+ /.test(line));
  expect(rows.length).toBeGreaterThanOrEqual(15);
  for (const row of rows) expect(row).toMatch(/`test\/[^`]+`: "|measured below/);
});
