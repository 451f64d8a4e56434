import { execFile } from 'node:child_process';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The version before: whoever updates has its processes beside those of this one for a while. */
const olderCommit = '97ea9267f5916632df030767f233b5fba403f1e9';

/** What a service that must not use a database says of it before it ends. */
const refusal = /was migrated by a newer m2pg/;

/** Undefined where the repository holds it. */
export async function olderVersionMissing(root: string): Promise<string | undefined> {
  return run('git', ['-C', root, 'cat-file', '-e', `${olderCommit}^{commit}`]).then(
    () => undefined,
    () => `the repository does not hold the version before, ${olderCommit}`,
  );
}

/**
 * Puts the sources of the version before into a folder.
 *
 * @param root Of a repository with its node_modules.
 * @returns The folder.
 */
export async function checkOutOlderVersion(root: string, folder: string): Promise<string> {
  await mkdir(folder);
  const archive = `${folder}.tar`;
  await run('git', ['-C', root, 'archive', `--output=${archive}`, olderCommit, 'src', 'migrations', 'package.json']);
  await run('tar', ['-xf', archive, '-C', folder]);
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Whether a service that has ended says that the databases are too new for it. */
export function saysTooOld(log: string): boolean {
  return refusal.test(log);
}
