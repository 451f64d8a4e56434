import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';

/**
 * Answers 200 with text that is made piece by piece: a single piece with its length; several as they are taken by the
 * client, so that no more than one waits in memory. When making them fails in the middle the connection is cut off, by
 * which every client knows that something is missing.
 *
 * @param close Called in the end, whatever the end is.
 * @throws what making the first two pieces raises.
 */
export async function answerInPieces(
  c: Context,
  pieces: AsyncGenerator<string>,
  close: () => Promise<void>,
): Promise<Response> {
  try {
    const first = await pieces.next();
    const second = await pieces.next();
    if (second.done) {
      await close();
      return c.body(first.value ?? '', 200);
    }
    // Left to itself, the adapter would end a response properly that broke off.
    const cutOff = () => (c.env as Partial<HttpBindings> | undefined)?.outgoing?.destroy();
    return c.body(toStream([first.value ?? '', second.value], pieces, { close, cutOff }), 200);
  } catch (error) {
    await close();
    throw error;
  }
}

function toStream(
  made: readonly string[],
  pieces: AsyncGenerator<string>,
  { close, cutOff }: { readonly close: () => Promise<void>; readonly cutOff: () => unknown },
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const piece of made) controller.enqueue(encoder.encode(piece));
    },
    async pull(controller) {
      try {
        const { value, done } = await pieces.next();
        if (!done) return controller.enqueue(encoder.encode(value));
        controller.close();
      } catch {
        cutOff();
      }
      await close();
    },
    cancel: close,
  });
}
