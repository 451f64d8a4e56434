import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A disk that can be filled up without harm to any other. */
export interface SmallDisk {
  /** Where it is mounted; everybody may enter and write. */
  readonly path: string;
  /** Leaves no room at all. */
  fill(): Promise<void>;
  free(): Promise<void>;
  /** Unmounts it; what was on it is gone. */
  remove(): Promise<void>;
}

/** Undefined where this user may not mount. */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'm2pg-disk-'));
  const remove = () => rm(path, { recursive: true, force: true });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]);
  } catch {
    await remove();
    return undefined;
  }
  await chmod(path, 0o777);
  const ballast = join(path, 'ballast');
  return {
    path,
    async fill() {
      const { bavail, bsize } = await statfs(path);
      await writeFile(ballast, Buffer.alloc(bavail * bsize), { flag: 'a' }).catch(() => undefined);
    },
    free: () => rm(ballast, { force: true }),
    async remove() {
      // Also while something on it is open still.
      await run('umount', ['--lazy', path]);
      await remove();
    },
  };
}
