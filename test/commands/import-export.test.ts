import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { exportSummaries } from '../../src/commands/export.ts';
import { importFile } from '../../src/commands/import.ts';
import { readConfig } from '../../src/config.ts';
import { binsOf, sketchOf } from '../../src/domain/sketch.ts';
import { sketchToProto } from '../../src/domain/sketch-proto.ts';
import { runToEnd } from '../support/finished-program.ts';
import { freshDatabaseUrl, runSql } from '../support/fresh-database.ts';
import { eventually, runProgram } from '../support/service-process.ts';
import { summaryOf } from '../support/summaries.ts';

// Each runs the program several times.
vi.setConfig({ testTimeout: 90_000 });

const tenValues = Buffer.from(sketchToProto(sketchOf(binsOf([1, 2, 3, 4, 5, 6, 7, 8, 9, 9.5]))) ?? []).toString(
  'base64',
);

const hourAgo = Math.floor(Date.now() / 1000) - 3_600;

/** So many summaries without ids, over an hour, of some names. */
function linesOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const { id: _id, ...content } = summaryOf({
      name: ['foo.web', 'ünï ✓ "quoted"', 'bar'][index % 3] ?? '',
      bucket: hourAgo + (index % 3_600) + (index % 7) / 8,
      mean: index / 7,
    });
    // Of some, what an outlet sends that has the values, and of one name its units.
    const values = { ...(index % 4 === 0 && { sketch: tenValues }), ...(index % 3 === 2 && { units: 'ms' }) };
    return JSON.stringify({ ...content, ...values });
  });
}

async function freshUrls(): Promise<[URL, URL]> {
  return Promise.all([freshDatabaseUrl(), freshDatabaseUrl()]);
}

async function fileWith(content: string | Buffer, name = 'summaries.ndjson'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-import-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

async function countIn(url: URL): Promise<number> {
  const [row] = await runSql(url, 'select count(*)::int as count from summaries');
  return Number(row?.count);
}

/** What is wrong with arguments is found before any database is asked. */
const config = readConfig({ DATABASE_URLS: 'postgres://nobody@127.0.0.1:9/none' });

/** A database that nobody has reached: its port is closed. */
const unreachable = new URL('postgres://nobody@127.0.0.1:9/none');

const parse = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test('what was imported, exported and imported elsewhere is the same there, ids included', async () => {
  const [urls, others] = await Promise.all([freshUrls(), freshUrls()]);
  const lines = [...linesOf(12_000), JSON.stringify({ name: 'point', bucket: hourAgo + 0.123456, value: -1e300 })];
  const file = await fileWith(gzipSync(lines.join('\n')), 'summaries.ndjson.gz');
  // Of all of them: else a batch waits a second for the slower one, and tells of those that were quick enough.
  const imported = await runToEnd(['import', file], urls, { env: { WRITE_ACKS: 'all' } });
  expect(imported).toMatchObject({ code: 0, stdout: '' });
  expect(imported.stderr).toMatch(
    /^stored 12,001 summaries, \S+\/s, each in 2 or more of 2 databases; refused 0 lines\n$/,
  );

  const exported = await runToEnd(['export'], urls);
  expect(exported).toMatchObject({ code: 0, stderr: 'exported 12,001 summaries\n' });
  const summaries = parse(exported.stdout);
  const inOrder = ({ units, sketch, id: _, ...content }: Record<string, unknown>) =>
    JSON.stringify({ ...content, ...(sketch !== undefined && { sketch }), ...(units !== undefined && { units }) });
  const withoutIds = summaries.map(inOrder);
  const given = lines.slice(0, -1).map((line) => inOrder(JSON.parse(line)));
  expect(withoutIds.filter((line) => !line.includes('"point"')).toSorted()).toEqual(given.toSorted());
  expect(summaries.find(({ name }) => name === 'point')).toMatchObject({ bucket: hourAgo + 0.123456, last: -1e300 });
  const buckets = summaries.map(({ bucket }) => bucket);
  expect(buckets.toSorted((a, b) => a - b)).toEqual(buckets);

  expect((await runToEnd(['import', '-'], others, { input: exported.stdout })).code).toBe(0);
  expect((await runToEnd(['export'], others)).stdout).toBe(exported.stdout);
  for (const url of [...urls, ...others]) expect(await countIn(url)).toBe(12_001);
});

describe('import', () => {
  test('counts every line once, however often the file is imported, and equal lines as often as they are there', async () => {
    const urls = await freshUrls();
    const [line] = linesOf(1);
    const file = await fileWith(`${line}\n${line}\n`);
    for (let time = 0; time < 2; time += 1) expect((await runToEnd(['import', file], urls)).code).toBe(0);
    expect(await countIn(urls[0])).toBe(2);
    // Another file may say the same of something else.
    await runToEnd(['import', await fileWith(`${line}\n`, 'other.ndjson')], urls);
    expect(await countIn(urls[0])).toBe(3);
    await runToEnd(['import', '--key', 'other.ndjson', file], urls);
    expect(await countIn(urls[0])).toBe(4);
  });

  test('leaves out lines that cannot be taken, says which and why, and exits with 1', async () => {
    const urls = await freshUrls();
    const [first, second] = linesOf(2);
    const point = '{"name":"a","value":1}';
    const input = `${first}\nnonsense\n\n{"name":"a","bucket":1}\n${point}\n${second}`;
    const { code, stderr } = await runToEnd(['import', '-'], urls, { input });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^line 2: is not JSON$/m);
    expect(stderr).toMatch(/^line 4: count: missing.* \(and 7 more\)$/m);
    expect(stderr).toMatch(/^line 5: bucket: missing; .*needs its bucket$/m);
    expect(stderr).toMatch(/^stored 2 summaries.*; refused 3 lines$/m);
    expect(await countIn(urls[0])).toBe(2);
  });

  test('lists no more than a hundred of them', async () => {
    const { stderr } = await runToEnd(['import', '-'], [await freshDatabaseUrl()], { input: 'x\n'.repeat(150) });
    expect(stderr.match(/^line \d+: is not JSON$/gm)).toHaveLength(100);
    expect(stderr).toMatch(/^50 more lines are not listed$/m);
  });

  test('that is stopped says how far it is, and when repeated completes what is missing', async () => {
    const urls = await freshUrls();
    const file = await fileWith(`${linesOf(60_000).join('\n')}\n`);
    // So that it is still at work when we look.
    const slow = `create function doze() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return null; end';
      create trigger doze after insert on summaries for each statement execute function doze()`;
    for (const url of urls) await runSql(url, slow);
    const program = runProgram(['import', file], { env: { DATABASE_URLS: urls.map(String).join('|') } });
    await eventually(async () => expect(await countIn(urls[0])).toBeGreaterThan(0));
    program.process.kill('SIGTERM');
    expect(await program.exited()).toBe(1);
    expect(program.output()).toMatch(
      /^broken off: it was stopped by SIGTERM; what is valid up to line \d+ is stored$/m,
    );
    expect(await countIn(urls[0])).toBeLessThan(60_000);
    for (const url of urls) await runSql(url, 'drop trigger doze on summaries');
    expect((await runToEnd(['import', file], urls)).code).toBe(0);
    for (const url of urls) expect(await countIn(url)).toBe(60_000);
  });

  test('while a database cannot be reached says in how many the summaries are', async () => {
    const url = await freshDatabaseUrl();
    const { code, stderr } = await runToEnd(['import', '-'], [url, unreachable], { input: linesOf(5).join('\n') });
    expect([code, await countIn(url)]).toEqual([0, 5]);
    expect(stderr).toMatch(/each in 1 or more of 2 databases/);
  });

  test('waits for the copies of a database that is slow', async () => {
    const urls = await freshUrls();
    const blocking = runSql(urls[1], 'begin; lock table summaries in exclusive mode; select pg_sleep(8); commit');
    await eventually(async () => {
      const [row] = await runSql(
        urls[1],
        "select count(*)::int as held from pg_locks where mode = 'ExclusiveLock' and relation = 'summaries'::regclass",
      );
      expect(row?.held).toBe(1);
    });
    expect((await runToEnd(['import', '-'], urls, { input: linesOf(5).join('\n') })).code).toBe(0);
    expect(await countIn(urls[1])).toBe(5);
    await blocking;
  });

  test('without any database stores nothing and exits with 1', async () => {
    const { code, stderr } = await runToEnd(['import', '-'], [unreachable], { input: linesOf(5).join('\n') });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^broken off: 0 of 1 databases have committed, 1 needed; what is valid up to line 0 is stored$/m,
    );
  });

  test.each([
    ['no file', [], /expected one file, or - for the standard input, not 0/],
    ['two files', ['a', 'b'], /expected one file, or - for the standard input, not 2/],
    ['a file that is not there', ['/nowhere.ndjson'], /nowhere\.ndjson cannot be read: ENOENT/],
    ['an unknown option', ['--fast', '-'], /unknown option --fast/],
    ['an empty key', ['--key=', '-'], /--key: expected at least one character/],
  ])('of %s is an error', async (_, args, message) => {
    await expect(importFile(config, args)).rejects.toThrow(message);
  });

  test('of a file that ends early stores what is whole, and says so', async () => {
    const url = await freshDatabaseUrl();
    const file = await fileWith(gzipSync(linesOf(9_000).join('\n')).subarray(0, -2_000), 'cut.gz');
    const { code, stderr } = await runToEnd(['import', file], [url]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/broken off: \S+cut\.gz cannot be read to its end: unexpected end of file/);
  });
});

describe('export', () => {
  test('merges what the databases hold, and counts every summary once', async () => {
    const urls = await freshUrls();
    await runToEnd(['import', '-'], urls, { input: linesOf(300).join('\n') });
    const whole = await runToEnd(['export'], urls);
    await runSql(urls[0], 'delete from summaries where mean < 10');
    await runSql(urls[1], 'delete from summaries where mean > 30');
    expect(await runToEnd(['export'], urls)).toEqual(whole);
    expect(parse(whole.stdout)).toHaveLength(300);
  });

  test('takes the filters of a read, and finds the same', async () => {
    const url = await freshDatabaseUrl();
    await runToEnd(['import', '-'], [url], { input: linesOf(300).join('\n') });
    const at = new Date((hourAgo + 100) * 1000).toISOString();
    const args = ['--name', '^(foo|b)', '--from', at, '--to', String(hourAgo + 200)];
    const summaries = parse((await runToEnd(['export', ...args], [url])).stdout);
    const wanted = linesOf(300)
      .map((line) => JSON.parse(line))
      .filter(({ name, bucket }) => /^(foo|b)/.test(name) && bucket >= hourAgo + 100 && bucket <= hourAgo + 200);
    expect(summaries.map(({ mean }) => mean).toSorted()).toEqual(wanted.map(({ mean }) => mean).toSorted());
    expect((await runToEnd(['export', '--from=-30m'], [url])).stdout).toBe('');
  });

  test.each([
    [['--from', 'yesterday'], /--from: expected Unix seconds.*-90s -15m/],
    [['--to', '1700000000000'], /--to: .*looks like milliseconds/],
    [['--name', '(a)\\1'], /--name: .*back-references?/],
    [['--from', '20', '--to', '10'], /--from: is later than --to/],
    [['foo'], /unexpected argument foo/],
    [['--resolution', 'hour'], /unknown option --resolution/],
  ])('%j is refused with what would be right', async (args, message) => {
    await expect(exportSummaries(config, args)).rejects.toThrow(message);
  });

  test('a pattern that only PostgreSQL can refuse is refused in its words', async () => {
    const { code, stderr } = await runToEnd(['export', '--name', 'a(b'], [await freshDatabaseUrl()]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/parentheses \(\) not balanced/)]);
  });

  test('says when a database did not answer, prints what the others hold, and exits with 1', async () => {
    const url = await freshDatabaseUrl();
    await runToEnd(['import', '-'], [url], { input: linesOf(5).join('\n') });
    const { code, stdout, stderr } = await runToEnd(['export'], [url, unreachable]);
    expect([code, parse(stdout).length]).toEqual([1, 5]);
    expect(stderr).toMatch(/^incomplete: db2 did not answer for all of it \(unreachable\)$/m);
    expect(stderr).toMatch(/^exported 5 summaries$/m);
    expect((await runToEnd(['export'], [unreachable])).stderr).toMatch(/^broken off: no database answered$/m);
  });

  test('shows nothing past RETENTION, as a read', async () => {
    const url = await freshDatabaseUrl();
    const lines = [hourAgo, hourAgo - 10 * 86_400].map((bucket) => JSON.stringify({ name: 'a', bucket, value: 1 }));
    await runToEnd(['import', '-'], [url], { input: lines.join('\n') });
    const { stdout } = await runToEnd(['export'], [url], { env: { RETENTION: '7d' } });
    expect(parse(stdout).map(({ bucket }) => bucket)).toEqual([hourAgo]);
  });
});
