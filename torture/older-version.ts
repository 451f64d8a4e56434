import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The version before: whoever updates has its processes beside those of this one for a while. */
const olderCommit = '97ea9267f5916632df030767f233b5fba403f1e9';

/** What a service that must not use a database says of it before it ends. */
const refusal = /was migrated by a newer m2pg/;

/** Why it cannot run: the repository does not hold it, or a package that it needs is not installed. Undefined: it can. */
export async function olderVersionMissing(root: string): Promise<string | undefined> {
  const listed = await run('git', ['-C', root, 'show', `${olderCommit}:package.json`]).catch(() => undefined);
  if (listed === undefined) return `the repository does not hold the version before, ${olderCommit}`;
  const { dependencies } = JSON.parse(listed.stdout) as { readonly dependencies: Readonly<Record<string, string>> };
  const missing = Object.keys(dependencies).filter((name) => !existsSync(join(root, 'node_modules', name)));
  return missing.length > 0 ? `the version before needs ${missing.join(', ')}, which is not installed` : undefined;
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
