import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { share } from '../support/cleanup.ts';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabaseUrl } from '../support/fresh-database.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

vi.setConfig({ testTimeout: 90_000 });

const run = promisify(execFile);
const main = join(import.meta.dirname, '../../src/main.ts');
const stored = 20_000;

let url: URL;
let end: () => Promise<void>;

beforeAll(async () => {
  ({ value: url, end } = await share(() => freshDatabaseUrl()));
  const bucket = Math.floor(Date.now() / 1000) - 3_600;
  const lines = Array.from({ length: stored }, (_, value) =>
    JSON.stringify({ name: 'foo.web.requests', bucket, value }),
  );
  // More than two pages, and less than is written at once.
  const few = lines.slice(0, 60).map((line) => line.replace('foo.web.requests', 'few'));
  expect((await runToEnd(['import', '-'], [url], { input: [...lines, ...few].join('\n') })).code).toBe(0);
});

afterAll(() => end());

/** Runs a line of a shell in which `$M2PG` is the program, and which leaves its exit code and what it said in two files. */
async function inShell(line: string) {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-export-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const env = { PATH: process.env.PATH, DATABASE_URLS: url.href };
  const script = line.replaceAll('$M2PG', `"${process.execPath}" "${main}"`);
  const { stdout } = await run('sh', ['-c', script], { env, cwd: folder, maxBuffer: 1e9 });
  const saidIn = (name: string) => readFile(join(folder, name), 'utf8');
  return { code: Number(await saidIn('code')), errors: await saidIn('errors'), stdout };
}

const toldOf = (errors: string) => Number(/exported ([\d,]+) summaries/.exec(errors)?.[1]?.replace(',', ''));

/** What a pipe holds that nobody reads, and the last part that is written. */
const pipeBytes = 130_000;

test.each([
  ['the first line', 'head -n 1', 0],
  ['a million bytes', '(head -c 1000000 > part; cat part; exit 3)', 1_000_000],
  ['nothing', 'true', 0],
])(
  'of which %s is read, it ends with the exit code that says so, and tells how much was written',
  async (_, reader, bytes) => {
    const { code, errors, stdout } = await inShell(`{ $M2PG export 2> errors; echo $? > code; } | ${reader} || true`);
    expect(code).toBe(141);
    expect(errors).toMatch(
      /^broken off: the reader of the output has closed it\nexported [\d,]+ summaries, of which not all may have been read\n$/,
    );
    const bytesOfLine = 190;
    expect(toldOf(errors)).toBeGreaterThan(Math.floor(bytes / bytesOfLine) - 100);
    expect(toldOf(errors)).toBeLessThanOrEqual((stdout.length + pipeBytes) / bytesOfLine);
  },
);

test('that is read to its end tells of all of it', async () => {
  const { code, errors, stdout } = await inShell('{ $M2PG export --name foo 2> errors; echo $? > code; } | cat');
  expect([code, errors]).toEqual([0, 'exported 20,000 summaries\n']);
  expect(stdout.trimEnd().split('\n')).toHaveLength(stored);
});

/** So much is on a disk when it is full. */
async function expectFull(name: string, pages: number, skip: (note: string) => never): Promise<void> {
  const disk = await mountSmallDisk(1);
  if (!disk) return skip("a disk of one's own to fill up takes the right to mount: run as root");
  onTestFinished(() => disk.remove());
  const { bavail, bsize } = await statfs(disk.path);
  await writeFile(join(disk.path, 'ballast'), Buffer.alloc((bavail - pages) * bsize));
  const output = join(disk.path, 'output');
  const { code, errors } = await inShell(`$M2PG export --name ${name} > ${output} 2> errors; echo $? > code`);
  expect(code).toBe(1);
  expect(errors).toMatch(
    /^broken off: the output cannot be written: ENOSPC: no space left on device\nexported [\d,]+ summaries\n$/,
  );
  expect(toldOf(errors)).toBeLessThan((await readFile(output, 'utf8')).split('\n').length);
}

test('to a disk that becomes full says so', async ({ skip }) => {
  await expectFull('foo', 40, skip);
});

test('to a disk that takes the only part in half says so', async ({ skip }) => {
  await expectFull('few', 2, skip);
});

test('other commands, whose output nobody reads, end with the exit code that says so, and no stack', async () => {
  const urls = await Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
  const env = { PATH: process.env.PATH, LOG_LEVEL: 'silent', DATABASE_URLS: urls.join('|') };
  for (const args of [
    ['--help'],
    ['export', '--help'],
    ['verify'],
    ['repair'],
    ['migrate'],
    ['delete', '--name', 'a', '--yes'],
  ]) {
    const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    const [code] = await once(child, 'close');
    expect({ args, code, errors }).toEqual({
      args,
      code: 141,
      errors: 'broken off: the reader of the output has closed it\n',
    });
  }
});
