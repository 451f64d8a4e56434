/**
 * The input of an import: a file, a pipe or the standard input. Its format is recognised by its first bytes, not by its name.
 *
 * 1. The first two bytes tell whether it is gzip, which is decompressed as it is read.
 * 2. The first line tells whether it is NDJSON or JSON over several lines. Other formats are refused by name before anything
 *    is stored.
 * 3. An error of the source, whenever it occurs, becomes a Failure for the code that reads the bytes. It is never unhandled.
 */
import { createReadStream, fstat, open, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { Failure } from '../domain/failure.ts';
import type { Splitter } from '../http/receivers/line-splitter.ts';
import { formatOf, isGzip, isTelling } from './import-format.ts';

const readBytes = 1_024 * 1_024;

type Bytes = AsyncIterable<Uint8Array>;

/** Summaries to be imported. */
export interface ImportSource {
  /** Throws a Failure `malformed_body` when the input cannot be read to its end. */
  readonly bytes: Bytes;
  readonly splitter: Splitter;
  /** The share that was read, 0 to 1; undefined when the size is unknown. */
  share(): number | undefined;
}

/**
 * Opens a file, or the standard input for `-`, and reads its beginning.
 *
 * @throws Error that says what the file is, when it cannot be imported.
 */
export async function openSource(file: string): Promise<ImportSource> {
  const name = file === '-' ? 'the standard input' : file;
  const { stream, size } = file === '-' ? { stream: process.stdin, size: undefined } : await openFile(file);
  // The reader below gets every error; without a listener, one that occurs while nobody reads would end the process.
  stream.on('error', () => undefined);
  let bytesRead = 0;
  const counted = async function* () {
    for await (const chunk of stream) {
      bytesRead += chunk.length;
      yield chunk;
    }
  };
  const raw = await peek(counted(), (head) => head.length >= 2);
  const isCompressed = isGzip(raw.head) || (raw.head.length === 0 && file.endsWith('.gz'));
  const text = await peek(isCompressed ? gunzip(raw.bytes) : raw.bytes, isTelling);
  const format = formatOf(text.head);
  if ('problem' in format) throw new Error(`${name} ${format.problem}; ${isTaken}. Nothing was stored`);
  return {
    bytes: explain(text.bytes, name),
    splitter: format.splitter,
    share: () => (size ? bytesRead / size : undefined),
  };
}

const isTaken = 'import takes NDJSON, as export prints it, or a JSON array of summaries, both also as gzip';

async function openFile(file: string): Promise<{ stream: Readable; size: number | undefined }> {
  const { fd, stats } = await openDescriptor(file).catch((error) => {
    throw new Error(`${file} cannot be read: ${reasonOf(error)}`);
  });
  if (stats.isDirectory())
    throw new Error(`${file} is a folder; import its files one by one, or cat FILES | m2pg import -`);
  // Reading a silent pipe as a file would block a thread of Node, and with it the exit of the process.
  const isPipe = stats.isFIFO() || stats.isSocket();
  const stream = isPipe
    ? new Socket({ fd, readable: true, writable: false })
    : createReadStream(file, { fd, highWaterMark: readBytes });
  return { stream, size: stats.isFile() ? stats.size : undefined };
}

async function openDescriptor(file: string): Promise<{ fd: number; stats: Stats }> {
  const fd = await promisify(open)(file, 'r');
  return { fd, stats: await promisify(fstat)(fd) };
}

/** Reads the beginning. @returns It, and all bytes; these throw the error that occurred meanwhile, if one did. */
async function peek(bytes: Bytes, isEnough: (head: Buffer) => boolean): Promise<{ head: Buffer; bytes: Bytes }> {
  const source = bytes[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let next: IteratorResult<Uint8Array> = { done: false, value: head };
  let failure: unknown;
  while (!next.done && failure === undefined && !isEnough(head)) {
    next = await source.next().catch((error) => {
      failure = error;
      return { done: true, value: undefined };
    });
    if (!next.done) head = Buffer.concat([head, next.value]);
  }
  const all = async function* () {
    if (head.length > 0) yield head;
    if (failure !== undefined) throw failure;
    if (!next.done) yield* { [Symbol.asyncIterator]: () => source };
  };
  return { head, bytes: all() };
}

async function* gunzip(bytes: Bytes): AsyncGenerator<Uint8Array> {
  const stream = createGunzip({ chunkSize: readBytes });
  stream.on('error', () => undefined);
  // An error of the source destroys the stream with that error, and the iteration throws it.
  pipeline(bytes, stream).catch(() => undefined);
  yield* stream;
}

/** @throws Failure `malformed_body` for whatever the bytes throw. */
async function* explain(bytes: Bytes, name: string): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (cause) {
    throw new Failure('malformed_body', `${name} cannot be read to its end: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? error.code : undefined;
  if (code === 'Z_BUF_ERROR') return `${error.message}, its gzip data is cut off`;
  if (code === 'Z_DATA_ERROR') return `${error.message}, its gzip data is damaged or something else follows it`;
  // The end of a system error repeats the call and the file.
  return error.message.replace(/, (open|read|fstat)\b.*$/, '');
}
