import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const main = join(import.meta.dirname, '../../torture/main.ts');

test('a quarter of a minute of faults finds nothing wrong', { timeout: 150_000 }, async () => {
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, [main, '--seed', '2', '--minutes', '0.25'], (_, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
  expect(output).toContain('nothing is wrong, seed 2\n');
});
