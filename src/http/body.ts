import { pipeline } from 'node:stream';
import { promisify } from 'node:util';
import { createGunzip, gunzip as gunzipWithCallback } from 'node:zlib';
import type { HonoRequest, MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { Failure } from '../domain/failure.ts';

const gunzip = promisify(gunzipWithCallback);

/** What is decompressed at once; a quarter of it, which is usual, makes four times as many rounds. */
const chunkBytes = 64 * 1_024;

/** Holds no state between bodies; making one costs more than to decode a summary. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Refuses a body that is too large, by its Content-Length or else as soon as so much has arrived.
 *
 * @throws Failure `body_too_large`, or `malformed_body` when the client leaves in the middle.
 */
export function limitBody(bodyBytesMax: number): MiddlewareHandler {
  const onError = () => {
    throw bodyTooLarge(bodyBytesMax);
  };
  const limit = bodyLimit({ maxSize: bodyBytesMax, onError });
  return async (c, next) => {
    // A length that was told needs no counting, which would make a web stream of every body: Node lets no more through.
    if (Number(c.req.header('Content-Length')) <= bodyBytesMax && !c.req.header('Transfer-Encoding')) return next();
    try {
      return await limit(c, next);
    } catch (cause) {
      // Failures of what comes next are answered there and do not pass here: it is the reading that failed.
      throw cause instanceof Failure ? cause : endedEarly(cause);
    }
  };
}

function bodyTooLarge(bodyBytesMax: number): Failure {
  return new Failure('body_too_large', `the body may have at most ${bodyBytesMax} bytes, decompressed`);
}

function endedEarly(cause: unknown): Failure {
  return new Failure('malformed_body', 'the body ended early', { cause });
}

/**
 * The body of a request as JSON, whatever its Content-Type says: `curl -d` says form, l2met's outlet says nothing.
 *
 * @throws Failure `malformed_body`, `unsupported_encoding` or `body_too_large`.
 */
export async function readJson(request: HonoRequest, bodyBytesMax: number): Promise<unknown> {
  const bytes = await decompress(await readBytes(request), request.header('Content-Encoding'), bodyBytesMax);
  const text = decode(bytes);
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(
      'malformed_body',
      text.trim() === '' ? 'the body is empty; expected JSON' : 'the body is not JSON',
    );
  }
}

async function readBytes(request: HonoRequest): Promise<Uint8Array> {
  try {
    return new Uint8Array(await request.arrayBuffer());
  } catch (cause) {
    throw endedEarly(cause);
  }
}

async function decompress(bytes: Uint8Array, encoding: string | undefined, bytesMax: number): Promise<Uint8Array> {
  if (!isGzip(encoding)) return bytes;
  try {
    return await gunzip(bytes, { maxOutputLength: bytesMax });
  } catch (cause) {
    if (cause instanceof RangeError) throw bodyTooLarge(bytesMax);
    throw notGzip(cause);
  }
}

/** @throws Failure `unsupported_encoding` for what is neither gzip nor nothing. */
function isGzip(encoding: string | undefined): boolean {
  const name = encoding?.trim().toLowerCase() ?? 'identity';
  if (name === 'identity' || name === '') return false;
  if (name === 'gzip' || name === 'x-gzip') return true;
  throw new Failure('unsupported_encoding', `Content-Encoding ${name} is not understood; gzip is`);
}

function notGzip(cause: unknown): Failure {
  return new Failure('malformed_body', 'the body is not gzip, as its Content-Encoding says', { cause });
}

/**
 * The body of a request as it arrives, decompressed, and no faster than it is taken.
 *
 * @throws Failure `unsupported_encoding`, or `malformed_body` when it ends early or is not gzip.
 */
export async function* streamBody(request: HonoRequest): AsyncGenerator<Uint8Array> {
  const isCompressed = isGzip(request.header('Content-Encoding'));
  const body = request.raw.body ?? [];
  try {
    // What goes wrong with the body reaches whoever reads what was decompressed.
    yield* isCompressed ? pipeline(body, createGunzip({ chunkSize: chunkBytes }), () => undefined) : body;
  } catch (cause) {
    throw cause instanceof Error && 'code' in cause && cause.code === 'Z_DATA_ERROR'
      ? notGzip(cause)
      : endedEarly(cause);
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new Failure('malformed_body', 'the body is not UTF-8', { cause });
  }
}
