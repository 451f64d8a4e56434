import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';

/** An answer of no more text than this is sent at once, with its length. */
const wholeCharactersMax = 1_000_000;

/** What goes out at once of a longer one: a stream costs so much each time that less would be felt. */
const pieceBytesMin = 262_144;

/**
 * Answers 200 with text that is made part by part: a short one with its length; a long one as it is taken by the client, so
 * that no more than a piece waits in memory. When making it fails in the middle the connection is cut off, by which
 * every client knows that something is missing. To HEAD it answers without any.
 *
 * @param parts Of some kilobytes each: longer ones grow old before they are sent, and their garbage is collected late.
 * @param close Called in the end, whatever the end is.
 * @throws what making the first million characters raises.
 */
export async function answerInPieces(
  c: Context,
  parts: AsyncGenerator<string>,
  close: () => Promise<void>,
): Promise<Response> {
  try {
    // What would be made for it is dropped on its way out, and nobody would tell us.
    if (c.req.method === 'HEAD') {
      await close();
      return c.body(null, 200);
    }
    const first: string[] = [];
    for (let characters = 0; characters <= wholeCharactersMax; ) {
      const { value, done } = await parts.next();
      if (done) {
        await close();
        return c.body(first.join(''), 200);
      }
      first.push(value);
      characters += value.length;
    }
    // Left to itself, the adapter would end a response properly that broke off.
    const cutOff = () => (c.env as Partial<HttpBindings> | undefined)?.outgoing?.destroy();
    return c.body(toStream(first, parts, { close, cutOff }), 200);
  } catch (error) {
    await close();
    throw error;
  }
}

function toStream(
  first: readonly string[],
  parts: AsyncGenerator<string>,
  { close, cutOff }: { readonly close: () => Promise<void>; readonly cutOff: () => unknown },
): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from(first.join('')));
    },
    async pull(controller) {
      try {
        const piece = await nextPiece(parts);
        if (piece.length > 0) return controller.enqueue(piece);
        controller.close();
      } catch {
        cutOff();
      }
      await close();
    },
    cancel: close,
  });
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
