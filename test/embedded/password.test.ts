import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readOrMakePassword } from '../../src/embedded/password.ts';

test('servers that start at once in one folder get the same password, never an empty one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (let round = 0; round < 200; round += 1) {
    const file = join(folder, `password-${round}`);
    const passwords = await Promise.all(Array.from({ length: 4 }, () => readOrMakePassword(file)));
    expect(new Set(passwords).size).toBe(1);
    expect(passwords[0]).toMatch(/^[0-9a-f]{36}$/);
    expect(await readOrMakePassword(file)).toBe(passwords[0]);
  }
  expect(await readdir(folder)).toHaveLength(200);
});
