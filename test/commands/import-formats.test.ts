import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test, vi } from 'vitest';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: 90_000 });

const unreachable = new URL('postgres://nobody@127.0.0.1:9/none');
const bucket = Math.floor(Date.now() / 1000) - 3_600;
const points = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `a${index % 7}`, bucket, value: index }));

async function fileWith(content: string | Buffer, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-import-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

async function valuesIn(url: URL): Promise<number[]> {
  return (await runSql(url, 'select last from summaries order by last')).map(({ last }) => Number(last));
}

test('a JSON array is imported as its lines would be, each element once, however often', async () => {
  const url = await freshDatabaseUrl();
  const all = points(12_000);
  const values = all.map(({ value }) => value);
  for (const [content, name] of [
    [gzipSync(JSON.stringify(all, null, 2)), 'pretty'],
    [JSON.stringify(all), 'pretty'],
    // The same places with the same content.
    [all.map((point) => JSON.stringify(point)).join('\n'), 'pretty'],
  ] as const) {
    const { code, stderr } = await runToEnd(['import', '-', '--key', name], [url], { input: content });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^stored 12,000 summaries, .*refused 0 (elements|lines)\n$/),
    });
    expect(await valuesIn(url)).toEqual(values);
  }
});

test('of a JSON array the elements that cannot be taken are named, and an end that is missing is said', async () => {
  const url = await freshDatabaseUrl();
  const [a, b] = points(2).map((point) => JSON.stringify(point));
  const broken = await runToEnd(['import', '-'], [url], { input: `[${a}, {"name": "a"}, nonsense, ${b}]` });
  expect(broken.code).toBe(1);
  expect(broken.stderr).toMatch(
    /^element 2: bucket: missing.*\nelement 3: is not JSON\nstored 2 summaries.*refused 2 elements\n$/,
  );
  const cut = await runToEnd(['import', '-', '--key', 'cut'], [url], { input: `[${a},\n${b},\n{"na` });
  expect(cut.code).toBe(1);
  expect(cut.stderr).toMatch(
    /^broken off: the JSON ends early, in the middle of element 3; what is valid up to element 2 is stored\nstored 2 /,
  );
  expect(await valuesIn(url)).toEqual([0, 0, 1, 1]);
});

test('of a gzip file that is short and cut off says so each time, and stores what is whole', async () => {
  const url = await freshDatabaseUrl();
  const lines = `${points(20)
    .map((point) => JSON.stringify(point))
    .join('\n')}\n`;
  const whole = gzipSync(lines);
  for (const [content, stored] of [
    [Buffer.alloc(0), 0],
    [whole.subarray(0, 12), 0],
    [whole.subarray(0, -8), 20],
    [Buffer.concat([whole, Buffer.from([0x1f, 0x8b])]), 20],
  ] as const) {
    const file = await fileWith(content, `${stored}.gz`);
    const { code, stdout, stderr } = await runToEnd(['import', file], [url]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^broken off: \S+\.gz cannot be read to its end: unexpected end of file, .*; what is valid up to line \d+ is stored\n/,
    );
    expect(stderr).toMatch(new RegExp(`^stored ${stored} summaries, \\S+/s(, each .*)?; refused 0 lines$`, 'm'));
    expect(stderr.split('\n')).toHaveLength(3);
  }
  expect(await valuesIn(url)).toHaveLength(20);
});

test('a line of 20 MB is refused with its number, its neighbours are stored, and nothing is advised that cannot help', async () => {
  const url = await freshDatabaseUrl();
  const [a, b] = points(2).map((point) => JSON.stringify(point));
  const file = await fileWith(`${a}\n{"name":"${'x'.repeat(20_000_000)}"}\n${b}\n`, 'long');
  for (let time = 0; time < 2; time += 1) {
    const { code, stderr } = await runToEnd(['import', file], [url]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^line 2: is longer than 4194304 bytes\nstored 2 summaries, .*; refused 1 lines\n$/);
    expect(await valuesIn(url)).toEqual([0, 1]);
  }
});

test('what is nothing to import is said before any database is asked', async () => {
  const csv = await fileWith('name,bucket,count\nfoo,1,2\n', 'metrics.csv');
  for (const [file, input, message] of [
    [
      csv,
      '',
      /^\S+metrics\.csv is CSV; import takes NDJSON, .* or a JSON array of summaries, .*gzip\. Nothing was stored\n$/,
    ],
    ['-', gzipSync('name;value\na;1\n'), /^the standard input is CSV; /],
    [join(csv, '..'), '', /is a folder; /],
    ['nowhere', '', /^nowhere cannot be read: ENOENT: no such file or directory\n$/],
  ] as const) {
    expect(await runToEnd(['import', file], [unreachable], { input })).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(message),
    });
  }
});
