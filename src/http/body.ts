import type { HonoRequest } from 'hono';
import { Failure } from '../domain/failure.ts';
import { createGate, type Gate } from './gate.ts';
import { gunzip } from './gunzip.ts';

/** What is decompressed at once; a quarter of it, which is usual, makes four times as many rounds. */
const chunkBytes = 64 * 1_024;

/** Of a short body, which fills no such chunk: most make less than this of a byte. */
const chunkBytesPerByte = 16;

/** Least average size of the members of a gzip body that has many. A compressor usually makes one. */
const memberOfBodyBytesMin = 1_024;

/** The same for a bulk load, which may be a concatenation of files with one summary each. */
const memberOfLoadBytesMin = 64;

/** Holds no state between bodies; making one costs more than to decode a summary. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A body whose length is told and no more than this is read in one go, which is faster; others are counted as they come. */
const shortBytesMax = 64 * 1_024;

/** What bodies may hold of the memory, together, while they are received, decompressed and parsed. */
export interface BodyBudget {
  /** Counts more bytes for a request. @throws Failure `too_many_bodies`. */
  take(request: HonoRequest, bytes: number): void;
  /** All that was taken for it, if anything. */
  giveBack(request: HonoRequest): void;
}

/** Nothing is taken yet. */
export function createBodyBudget(bytesMax: number): BodyBudget {
  const takenFor = new WeakMap<HonoRequest, number>();
  let taken = 0;
  return {
    take(request, bytes) {
      if (taken + bytes > bytesMax) {
        throw new Failure('too_many_bodies', `bodies of ${taken} bytes are being received; try again later`);
      }
      taken += bytes;
      takenFor.set(request, (takenFor.get(request) ?? 0) + bytes);
    },
    giveBack(request) {
      taken -= takenFor.get(request) ?? 0;
      takenFor.delete(request);
    },
  };
}

/** How much of the body of a request is taken. */
export interface BodyLimits {
  /** As it is sent, and decompressed. */
  readonly bytesMax: number;
  readonly budget: BodyBudget;
  /** Of what is decompressed. */
  readonly gate: Gate;
}

/** Of all bodies that are in memory, at least: eight of the usual limit. */
const bodiesBytesMin = 64 * 1_024 * 1_024;

/** As many as Node has threads for it. Of more at once each would take its part of the memory, and none be done sooner. */
const decompressedAtOnce = 4;

/** As many as there are connections, usually: a burst of small ones is done in milliseconds. */
const compressedWaitingMax = 1_000;

/** A thousand times eight megabytes take longer; whoever sends such is not to make the others wait any longer for it. */
const compressedWaitMs = 10_000;

/** The limits of bodies of at most so many bytes, with one budget for all of them together. */
export function createBodyLimits(bytesMax: number): BodyLimits {
  const gate = createGate({
    insideMax: decompressedAtOnce,
    waitingMax: compressedWaitingMax,
    waitMs: compressedWaitMs,
    refuse: (_, waiting) =>
      new Failure('too_many_bodies', `${waiting} bodies wait to be decompressed; try again later`),
  });
  return { bytesMax, budget: createBodyBudget(Math.max(bodiesBytesMin, 2 * bytesMax)), gate };
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
  try {
    return parseJson(decode(await readDecompressed(request, limits)));
  } finally {
    limits.budget.giveBack(request);
  }
}

function parseJson(text: string): unknown {
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
 * The bytes of a body, decompressed. They stay in the budget until it is given back for the request, which is the
 * caller's duty, or at the latest that of whoever answers it.
 *
 * @throws Failure as `readJson` does.
 */
export async function readDecompressed(request: HonoRequest, limits: BodyLimits): Promise<Uint8Array> {
  const bytes = await readBytes(request, limits);
  return isGzip(request.header('Content-Encoding')) ? decompress(request, bytes, limits) : bytes;
}

async function readBytes(request: HonoRequest, limits: BodyLimits): Promise<Uint8Array> {
  const told = request.header('Transfer-Encoding') ? undefined : request.header('Content-Length');
  if (Number(told) > limits.bytesMax) throw bodyTooLarge(limits.bytesMax);
  try {
    // Node lets no more through than was told.
    if (Number(told) <= shortBytesMax) return new Uint8Array(await request.arrayBuffer());
    return await collectBytes(request, request.raw.body ?? [], limits);
  } catch (cause) {
    throw cause instanceof Failure ? cause : endedEarly(cause);
  }
}

async function collectBytes(
  request: HonoRequest,
  body: AsyncIterable<Uint8Array> | [],
  { bytesMax, budget }: BodyLimits,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    if (bytes + chunk.length > bytesMax) throw bodyTooLarge(bytesMax);
    budget.take(request, chunk.length);
    bytes += chunk.length;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

/** Counts what comes out as it comes: a few kilobytes may hold thousands of times as many. */
async function decompress(request: HonoRequest, bytes: Uint8Array, limits: BodyLimits): Promise<Uint8Array> {
  const leave = await limits.gate.enter();
  const chunkSize = Math.min(chunkBytes, Math.max(1_024, chunkBytesPerByte * bytes.length));
  try {
    return await collectBytes(request, gunzip([bytes], { chunkSize, memberBytesMin: memberOfBodyBytesMin }), limits);
  } finally {
    leave();
  }
}

/** @throws Failure `unsupported_encoding` for what is neither gzip nor nothing. */
function isGzip(encoding: string | undefined): boolean {
  const name = encoding?.trim().toLowerCase() ?? 'identity';
  if (name === 'identity' || name === '') return false;
  if (name === 'gzip' || name === 'x-gzip') return true;
  throw new Failure('unsupported_encoding', `Content-Encoding ${name} is not understood; gzip is`);
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
    yield* isCompressed ? gunzip(body, { chunkSize: chunkBytes, memberBytesMin: memberOfLoadBytesMin }) : body;
  } catch (cause) {
    throw cause instanceof Failure ? cause : endedEarly(cause);
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new Failure('malformed_body', 'the body is not UTF-8', { cause });
  }
}
