import { pipeline } from 'node:stream';
import { promisify } from 'node:util';
import { createGunzip, gunzip as gunzipWithCallback } from 'node:zlib';
import type { HonoRequest } from 'hono';
import { Failure } from '../domain/failure.ts';

const gunzip = promisify(gunzipWithCallback);

/** What is decompressed at once; a quarter of it, which is usual, makes four times as many rounds. */
const chunkBytes = 64 * 1_024;

/** Holds no state between bodies; making one costs more than to decode a summary. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A body whose length is told and no more than this is read in one go, which is faster; others are counted as they come. */
const shortBytesMax = 64 * 1_024;

/** What bodies may hold of the memory, together, while they are received. */
export interface BodyBudget {
  /** @throws Failure `too_many_bodies`. */
  take(bytes: number): void;
  giveBack(bytes: number): void;
}

/** Nothing is taken yet. */
export function createBodyBudget(bytesMax: number): BodyBudget {
  let taken = 0;
  return {
    take(bytes) {
      if (taken + bytes > bytesMax) {
        throw new Failure('too_many_bodies', `bodies of ${taken} bytes are being received; try again later`);
      }
      taken += bytes;
    },
    giveBack(bytes) {
      taken -= bytes;
    },
  };
}

/** How much of the body of a request is taken. */
export interface BodyLimits {
  /** As it is sent, and decompressed. */
  readonly bytesMax: number;
  readonly budget: BodyBudget;
}

/** Of all bodies that are being received, at least: eight of the usual limit. */
const bodiesBytesMin = 64 * 1_024 * 1_024;

/** The limits of bodies of at most so many bytes, with one budget for all of them together. */
export function createBodyLimits(bytesMax: number): BodyLimits {
  return { bytesMax, budget: createBodyBudget(Math.max(bodiesBytesMin, 2 * bytesMax)) };
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
 * @throws Failure `malformed_body`, `unsupported_encoding`, `body_too_large` by its Content-Length or else as soon as so
 *   much has arrived, or `too_many_bodies`.
 */
export async function readJson(request: HonoRequest, limits: BodyLimits): Promise<unknown> {
  const text = decode(await readDecompressed(request, limits));
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(
      'malformed_body',
      text.trim() === '' ? 'the body is empty; expected JSON' : 'the body is not JSON',
    );
  }
}

/**
 * The bytes of a body, decompressed.
 *
 * @throws Failure as `readJson` does.
 */
export async function readDecompressed(request: HonoRequest, limits: BodyLimits): Promise<Uint8Array> {
  return decompress(await readBytes(request, limits), request.header('Content-Encoding'), limits.bytesMax);
}

async function readBytes(request: HonoRequest, limits: BodyLimits): Promise<Uint8Array> {
  const told = request.header('Transfer-Encoding') ? undefined : request.header('Content-Length');
  if (Number(told) > limits.bytesMax) throw bodyTooLarge(limits.bytesMax);
  try {
    // Node lets no more through than was told.
    if (Number(told) <= shortBytesMax) return new Uint8Array(await request.arrayBuffer());
    return await collectBytes(request.raw.body ?? [], limits);
  } catch (cause) {
    throw cause instanceof Failure ? cause : endedEarly(cause);
  }
}

async function collectBytes(
  body: AsyncIterable<Uint8Array> | [],
  { bytesMax, budget }: BodyLimits,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      if (bytes + chunk.length > bytesMax) throw bodyTooLarge(bytesMax);
      budget.take(chunk.length);
      bytes += chunk.length;
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, bytes);
  } finally {
    budget.giveBack(bytes);
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
