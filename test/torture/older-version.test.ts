import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { checkOutOlderVersion, olderVersionMissing, saysTooOld } from '../../torture/older-version.ts';

const root = join(import.meta.dirname, '../..');
const isMissing = (await olderVersionMissing(root)) !== undefined;

test.skipIf(isMissing)('the version before can be had, and says that a database is too new for it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-older-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const older = await checkOutOlderVersion(root, join(folder, 'older'));
  expect(saysTooOld(await readFile(join(older, 'src/database/migrate.ts'), 'utf8'))).toBe(true);
  expect(saysTooOld('')).toBe(false);
});

test('where the repository does not hold it, it is left out with a word', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-no-repository-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  expect(await olderVersionMissing(folder)).toMatch(/^the repository does not hold the version before/);
});
