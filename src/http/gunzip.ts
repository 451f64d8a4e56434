/**
 * Decompresses gzip (RFC 1952) as it arrives, and ignores bytes after the last member, as the program gzip does.
 *
 * Node's Gunzip takes any bytes after a member for the next member, unless they are zeros. When they are not one, it fails and
 * drops what it has just decompressed. But some clients end a body with CRLF, and some tools pad files. So this module separates
 * the members itself:
 *
 * 1. Bytes that begin with 1f 8b are a member: skip its header.
 * 2. Decompress its data with InflateRaw, which stops at their end and tells how many bytes it has taken.
 * 3. Check the checksum and the length that follow. Go to 1.
 * 4. Any other bytes after the first member end the input.
 */
import { crc32, createInflateRaw, type InflateRaw } from 'node:zlib';
import { Failure } from '../domain/failure.ts';

/** A body may have this many members of any size. Each costs 40 µs of processor time, even an empty one. */
const membersMin = 1_000;

const [hasHeaderSum, hasExtra, hasName, hasComment, reserved] = [0x02, 0x04, 0x08, 0x10, 0xe0];

export interface GunzipOptions {
  /** The size of the chunks of decompressed bytes. */
  readonly chunkSize: number;
  /** Beyond the first thousand, members must hold this many bytes on average. */
  readonly memberBytesMin: number;
}

/** @throws Failure `malformed_body` when it is not gzip or ends early, and as the source does. */
export async function* gunzip(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { chunkSize, memberBytesMin }: GunzipOptions,
): AsyncGenerator<Buffer> {
  const input = createInput(source);
  let bytes = 0;
  try {
    for (let members = 0; await isMember(input, members === 0); members += 1) {
      if (members > membersMin + bytes / memberBytesMin) throw notGzip('too many members that hold too little');
      await skipHeader(input);
      let [sum, length] = [0, 0];
      for await (const chunk of inflate(input, chunkSize)) {
        sum = crc32(chunk, sum);
        length += chunk.length;
        yield chunk;
      }
      bytes += length;
      const trailer = await input.take(8);
      if (trailer.readUInt32LE(0) !== sum || trailer.readUInt32LE(4) !== length % 2 ** 32) throw notGzip('sums differ');
    }
  } finally {
    // Not awaited: that would wait for the next bytes of a sender that may be silent.
    input.close().catch(() => undefined);
  }
}

function notGzip(cause: unknown): Failure {
  return new Failure('malformed_body', 'the body is not gzip, as its Content-Encoding says', { cause });
}

function endedEarly(cause?: unknown): Failure {
  return new Failure('malformed_body', 'the body ended early', { cause });
}

async function isMember(input: Input, isFirst: boolean): Promise<boolean> {
  const [first, second] = await input.peek(2);
  if (first === 0x1f && second === 0x8b) return true;
  // A member that was cut off after its first byte.
  if (first === 0x1f && second === undefined) throw endedEarly();
  if (isFirst) throw notGzip('no member');
  return false;
}

async function skipHeader(input: Input): Promise<void> {
  const header = await input.take(10);
  const [method, flags] = [header[2], header[3] ?? 0];
  if (method !== 8 || (flags & reserved) !== 0) throw notGzip('unknown method or flag');
  if (flags & hasExtra) {
    const length = await input.take(2);
    await input.take(length.readUInt16LE());
  }
  if (flags & hasName) await input.skipText();
  if (flags & hasComment) await input.skipText();
  if (flags & hasHeaderSum) await input.take(2);
}

/** Decompresses the data of one member. */
async function* inflate(input: Input, chunkSize: number): AsyncGenerator<Buffer> {
  const inflater = createInflateRaw({ chunkSize });
  const fed = feed(inflater, input);
  // The reader gets the error as well.
  fed.catch((error) => inflater.destroy(error));
  try {
    yield* inflater;
    await fed;
  } catch (cause) {
    throw isZlibError(cause, 'Z_DATA_ERROR')
      ? notGzip(cause)
      : isZlibError(cause, 'Z_BUF_ERROR')
        ? endedEarly(cause)
        : cause;
  } finally {
    inflater.destroy();
  }
}

function isZlibError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Feeds the input to the inflater until the data of the member end, and puts the remaining bytes back. */
async function feed(inflater: InflateRaw, input: Input): Promise<void> {
  for (let given = 0; ; ) {
    const chunk = await input.next();
    if (chunk === undefined) {
      inflater.end();
      return;
    }
    given += chunk.length;
    await new Promise<void>((resolve, reject) => {
      inflater.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
    const left = given - inflater.bytesWritten;
    if (left === 0) continue;
    input.giveBack(chunk.subarray(chunk.length - left));
    return;
  }
}

/** A stream of bytes with lookahead. */
interface Input {
  /** The next bytes, which stay in the input. Fewer at its end. */
  peek(bytes: number): Promise<Buffer>;
  /** @throws Failure when there are fewer. */
  take(bytes: number): Promise<Buffer>;
  /** Skips a text that ends with a zero byte. */
  skipText(): Promise<void>;
  /** The next chunk, of any size; undefined at the end. */
  next(): Promise<Buffer | undefined>;
  giveBack(bytes: Buffer): void;
  close(): Promise<unknown>;
}

function createInput(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Input {
  const chunks = chunksOf(source);
  let atHand: Buffer = Buffer.alloc(0);

  const fetch = async (): Promise<Buffer | undefined> => {
    const { value, done } = await chunks.next();
    return done ? undefined : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  };
  const input: Input = {
    async peek(bytes) {
      while (atHand.length < bytes) {
        const more = await fetch();
        if (more === undefined) break;
        atHand = atHand.length === 0 ? more : Buffer.concat([atHand, more]);
      }
      return atHand.subarray(0, bytes);
    },
    async take(bytes) {
      const taken = await input.peek(bytes);
      if (taken.length < bytes) throw endedEarly();
      atHand = atHand.subarray(bytes);
      return taken;
    },
    async skipText() {
      for (let chunk = await input.next(); chunk !== undefined; chunk = await input.next()) {
        const end = chunk.indexOf(0);
        if (end === -1) continue;
        input.giveBack(chunk.subarray(end + 1));
        return;
      }
      throw endedEarly();
    },
    async next() {
      const bytes = atHand;
      atHand = Buffer.alloc(0);
      return bytes.length > 0 ? bytes : fetch();
    },
    giveBack(bytes) {
      atHand = bytes;
    },
    close: () => chunks.return(undefined),
  };
  return input;
}

async function* chunksOf(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* source;
}
