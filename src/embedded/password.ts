import { randomBytes } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';

/**
 * The password kept in a file, made when there is none.
 *
 * Several may ask at once for one file and all get the same: it is written aside and then linked into place, so that it
 * is never seen empty, and the first link stays.
 */
export async function readOrMakePassword(file: string): Promise<string> {
  const known = await readFile(file, 'utf8').catch(() => '');
  if (known !== '') return known;
  const made = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(made, randomBytes(18).toString('hex'), { mode: 0o600, flag: 'wx' });
  try {
    await link(made, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(made);
  }
  return readFile(file, 'utf8');
}
