import { chmod, mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { prepareGround } from '../../torture/ground.ts';
import { createRandom } from '../../torture/random.ts';
import { settingsFor } from '../../torture/settings.ts';

/** Processes whose working directory is in a folder, as that of a PostgreSQL server is in its data. */
async function processesIn(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const folders = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return folders.filter((one) => one.startsWith(folder));
}

test('leaves nothing behind when a service does not start', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-ground-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  // For the user that the servers run as.
  await chmod(folder, 0o755);
  vi.stubEnv('TMPDIR', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  let most = 0;
  const watch = setInterval(async () => {
    most = Math.max(most, (await processesIn(folder)).length);
  }, 50);
  onTestFinished(() => clearInterval(watch));
  // There is nothing to be run in this root.
  const root = join(folder, 'nothing');
  const preparing = prepareGround({
    ...{ root, repository: root, settings: settingsFor(1, []), random: createRandom(1) },
    ...{ hasOlder: false, hasClocks: false, areEqual: async () => true },
  });
  await expect(preparing).rejects.toThrow('a service did not start');
  expect(most).toBeGreaterThanOrEqual(3);
  expect(await processesIn(folder)).toEqual([]);
  expect(await readdir(folder)).toEqual([]);
});
