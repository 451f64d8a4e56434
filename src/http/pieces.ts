import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { acceptsGzip, gzipBytesMin, gzipPieces, gzipWhole } from './gzip.ts';

/** An answer of no more text than this is sent at once, with its length. */
const wholeCharactersMax = 1_000_000;

/** A slow answer is sent from then on, however little there is of it. */
const heldMsMax = 5_000;

/** What goes out at once of a longer one: a stream costs so much each time that less would be felt. */
const pieceBytesMin = 262_144;

export interface PiecesOptions {
  /** Headers of the answer. A failure before anything is sent does not get them. */
  readonly headers: Readonly<Record<string, string>>;
  /** Called in the end, whatever the end is. */
  readonly close: () => Promise<void>;
}

/**
 * Answers 200 with text that is made part by part: a short one with its length; a long one as it is taken by the client, so
 * that no more than a piece or two wait in memory. When making it fails in the middle the connection is cut off, by which
 * every client knows that something is missing. To HEAD it answers without any. Clients that accept gzip get it: one compressor
 * for each open answer, so that the limit on answers limits compressors as well.
 *
 * @param parts Of some kilobytes each: longer ones grow old before they are sent, and their garbage is collected late.
 * @throws what making the first million characters raises.
 */
export async function answerInPieces(
  c: Context,
  parts: AsyncGenerator<string>,
  { headers, close }: PiecesOptions,
): Promise<Response> {
  c.header('Vary', 'Accept-Encoding', { append: true });
  try {
    // What would be made for it is dropped on its way out, and nobody would tell us.
    if (c.req.method === 'HEAD') {
      await close();
      return c.body(null, 200, headers);
    }
    const isCompressed = acceptsGzip(c.req.header('Accept-Encoding'));
    const compressed = isCompressed ? { ...headers, 'Content-Encoding': 'gzip' } : headers;
    const { text, isWhole } = await readBeginning(parts);
    if (isWhole) {
      const isShort = Buffer.byteLength(text) < gzipBytesMin;
      const body = isShort || !isCompressed ? text : await gzipWhole(text);
      await close();
      return c.body(body, 200, isShort ? headers : compressed);
    }
    const pieces = gatherPieces(text, parts);
    // Left to itself, the adapter would end a response properly that broke off.
    const cutOff = () => (c.env as Partial<HttpBindings> | undefined)?.outgoing?.destroy();
    return c.body(toStream(isCompressed ? gzipPieces(pieces) : pieces, { close, cutOff }), 200, compressed);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Reads the text that is held back before anything is sent. */
async function readBeginning(parts: AsyncGenerator<string>): Promise<{ text: string; isWhole: boolean }> {
  const begun = performance.now();
  const beginning: string[] = [];
  for (let characters = 0; characters <= wholeCharactersMax && performance.now() - begun < heldMsMax; ) {
    const { value, done } = await parts.next();
    if (done) return { text: beginning.join(''), isWhole: true };
    beginning.push(value);
    characters += value.length;
  }
  return { text: beginning.join(''), isWhole: false };
}

/** Yields the beginning, then the rest as it is asked for. */
async function* gatherPieces(beginning: string, parts: AsyncGenerator<string>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(beginning);
  for (let piece = await nextPiece(parts); piece.length > 0; piece = await nextPiece(parts)) yield piece;
}

/** Empty at the end. */
async function nextPiece(parts: AsyncGenerator<string>): Promise<Buffer> {
  const gathered: Buffer[] = [];
  for (let bytes = 0; bytes < pieceBytesMin; bytes += gathered.at(-1)?.length ?? 0) {
    const { value, done } = await parts.next();
    if (done) break;
    gathered.push(Buffer.from(value));
  }
  return Buffer.concat(gathered);
}

function toStream(
  given: AsyncIterable<Uint8Array>,
  { close, cutOff }: { readonly close: () => Promise<void>; readonly cutOff: () => unknown },
): ReadableStream<Uint8Array> {
  const pieces = given[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { value, done } = await pieces.next();
        if (!done) return controller.enqueue(value);
        controller.close();
      } catch {
        cutOff();
      }
      await close();
    },
    async cancel() {
      // Frees the compressor as well. Not awaited: a page may still be on its way.
      pieces.return?.().catch(() => undefined);
      await close();
    },
  });
}
