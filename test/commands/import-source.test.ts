import { execFile } from 'node:child_process';
import { appendFile, chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { openSource } from '../../src/commands/import-source.ts';

const run = promisify(execFile);

async function fileWith(content: string | Buffer, name = 'summaries'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'm2pg-source-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

/** What is read of a file, line by line or element by element. */
async function readAll(file: string) {
  const { bytes, splitter, share } = await openSource(file);
  const lines = [];
  for await (const piece of bytes) lines.push(...splitter.push(Buffer.from(piece)));
  lines.push(...splitter.end());
  return { unit: splitter.unit, texts: lines.map(({ text }) => text), share: share() };
}

const ndjson = '{"a":1}\n{"b":[2,3]}\n';
const objects = [{ a: 1 }, { b: [2, 3] }];

test.each([
  ['NDJSON', ndjson, 'line'],
  ['gzip, whatever its name', gzipSync(ndjson), 'line'],
  ['gzip of several members', Buffer.concat([gzipSync('{"a":1}\n'), gzipSync('{"b":[2,3]}\n')]), 'line'],
  ['gzip with zeros behind', Buffer.concat([gzipSync(ndjson), Buffer.alloc(1_000)]), 'line'],
  ['a JSON array', JSON.stringify(objects), 'element'],
  ['a JSON array over several lines', JSON.stringify(objects, null, 2), 'element'],
  ['a JSON array, one element a line', '[{"a":1},\n{"b":[2,3]}]', 'element'],
  ['a JSON array as gzip', gzipSync(`\n  ${JSON.stringify(objects)}`), 'element'],
  [
    'a JSON array as Windows writes it',
    `\uFEFF${JSON.stringify(objects, null, 2).replaceAll('\n', '\r\n')}`,
    'element',
  ],
  ['objects over several lines', objects.map((object) => JSON.stringify(object, null, 2)).join('\n'), 'element'],
])('takes %s', async (_, content, unit) => {
  const read = await readAll(await fileWith(content));
  const texts = read.texts.map((text) => text?.trim()).filter((text) => text !== '');
  expect({ unit: read.unit, objects: texts.map((text) => JSON.parse(text ?? '')) }).toEqual({ unit, objects });
  expect(read.share).toBe(1);
});

test('takes a file that is named .gz and is none', async () => {
  expect((await readAll(await fileWith(ndjson, 'plain.gz'))).texts).toHaveLength(2);
});

test.each([
  [
    'CSV',
    'name,bucket,time,count\nfoo,1,2,3\n',
    /summaries is CSV; import takes NDJSON.*JSON array.*gzip.*Nothing was stored/,
  ],
  ['CSV of a header alone', 'name,bucket,count\n', /is CSV/],
  ['CSV with quotes, semicolons and no header', '"a;b";1355202720;2\n"c";1355202720;4\n', /is CSV/],
  ['tab-separated values as gzip', gzipSync('time\tvalue\n1\t2\n'), /is CSV/],
  ['zip', Buffer.from('PK\x03\x04xxxx'), /is a zip archive/],
  ['zstd', Buffer.from('28b52ffd00', 'hex'), /is compressed with zstd/],
  ['gzip of gzip', gzipSync(gzipSync(ndjson)), /is compressed twice/],
  ['UTF-16, as PowerShell redirects', Buffer.from(`\uFEFF${ndjson}`, 'utf16le'), /is UTF-16, not UTF-8/],
  ['a tar archive', Buffer.concat([Buffer.from('a.ndjson'), Buffer.alloc(504), Buffer.from(ndjson)]), /is binary/],
  ['a web page', '<!doctype html>\n', /is HTML or XML/],
])('of %s says that it is, and what is taken', async (_, content, message) => {
  await expect(openSource(await fileWith(content))).rejects.toThrow(message);
});

test('lines that are broken are no CSV', async () => {
  for (const content of ['no, not JSON\n{"a":1,"b":2}\n', 'Hello, world\n', '1, 2, 3\n']) {
    expect((await openSource(await fileWith(content))).splitter.unit).toBe('line');
  }
});

test('of a folder and of nothing says so', async () => {
  const file = await fileWith('', 'none');
  await expect(openSource(join(file, '..'))).rejects.toThrow(/is a folder; import its files one by one/);
  await expect(openSource(`${file}.ndjson`)).rejects.toThrow(/none\.ndjson cannot be read: ENOENT: no such file/);
});

test('of a file that may not be read says so', async ({ skip }) => {
  if (process.getuid?.() === 0) skip('root may read everything');
  const file = await fileWith('', 'none');
  await chmod(file, 0);
  await expect(openSource(file)).rejects.toThrow(/none cannot be read: EACCES: permission denied/);
});

const whole = gzipSync(ndjson.repeat(100));
const damaged = Buffer.from(whole);
damaged[damaged.length - 6] = ~(damaged.at(-6) ?? 0);

/** Each of these is to be a Failure, at whatever moment somebody begins to read. */
test.each([
  ['an empty file that is named .gz', Buffer.alloc(0), /unexpected end of file, its gzip data is cut off/],
  ['gzip cut off after its first byte', whole.subarray(0, 1), /cut off/],
  ['gzip cut off in its header', whole.subarray(0, 7), /cut off/],
  ['gzip cut off in its body', whole.subarray(0, 30), /cut off/],
  ['gzip cut off in its trailer', whole.subarray(0, -3), /cut off/],
  ['gzip cut off in its second member', Buffer.concat([whole, whole.subarray(0, 5)]), /cut off/],
  ['gzip with a wrong checksum', damaged, /incorrect data check, its gzip data is damaged/],
  ['gzip with something else behind', Buffer.concat([whole, Buffer.from('garbage')]), /something else follows it/],
])('of %s the reader is told, whenever it begins to read', async (_, content, message) => {
  const file = await fileWith(content, 'broken.gz');
  for (const pauseMs of [undefined, 0, 1, 5, 50]) {
    const { bytes } = await openSource(file);
    // Long enough for any error to come before anybody reads: unhandled, it would fail this test.
    if (pauseMs !== undefined) await sleep(pauseMs);
    const read = async () => {
      for await (const _piece of bytes);
    };
    await expect(read()).rejects.toMatchObject({ code: 'malformed_body', message: expect.stringMatching(message) });
  }
});

test('of a file of the system that fails with EIO the reader is told', async ({ skip }) => {
  if (process.platform !== 'linux') skip('there is no /proc here');
  await expect(readAll('/proc/self/mem')).rejects.toThrow('/proc/self/mem cannot be read to its end: EIO: i/o error');
});

test('reads a pipe as it comes, and a file that grows or vanishes as far as it is there', async () => {
  const pipe = await fileWith('', 'x');
  await rm(pipe);
  await run('mkfifo', [pipe]);
  const writing = appendFile(pipe, ndjson);
  expect((await readAll(pipe)).texts).toEqual(['{"a":1}', '{"b":[2,3]}']);
  await writing;

  const file = await fileWith(ndjson.repeat(1_000));
  const source = await openSource(file);
  await rm(file);
  let read = 0;
  for await (const piece of source.bytes) read += piece.length;
  expect(read).toBe(ndjson.length * 1_000);
});
