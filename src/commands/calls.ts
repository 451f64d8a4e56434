import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** The other end of a channel between two processes: `process` in a worker, a worker in its primary. */
export interface Peer {
  on(event: 'message', listener: (message: unknown) => void): unknown;
  send?(message: object, sent: (error: Error | null) => void): unknown;
}

/** What the other end may ask for, by name. */
export type Answers = Readonly<Record<string, (argument: string) => Promise<unknown>>>;

/** Asks the other end. Rejects when no answer comes in time, or when it is an error. */
export type Call = (name: string, argument: string, timeoutMs: number) => Promise<unknown>;

interface Message {
  readonly type: 'm2pg:call' | 'm2pg:answer' | 'm2pg:error';
  readonly id: string;
  readonly name: string;
  readonly body: unknown;
}

/** Lets two processes call each other. Other messages on the same channel are left alone. */
export function createCalls(peer: Peer, answers: Answers): Call {
  const waiting = new Map<string, (message: Message) => void>();
  // An end that has gone answers nothing: who asks finds out in time.
  const send = (message: Message) => void peer.send?.(message, () => undefined);

  const answer = async ({ id, name, body }: Message): Promise<void> => {
    try {
      send({ type: 'm2pg:answer', id, name, body: await answers[name]?.(String(body)) });
    } catch (error) {
      send({ type: 'm2pg:error', id, name, body: error instanceof Error ? error.message : String(error) });
    }
  };
  peer.on('message', (received) => {
    const message = received as Message;
    if (message.type === 'm2pg:call') void answer(message);
    if (message.type === 'm2pg:answer' || message.type === 'm2pg:error') waiting.get(message.id)?.(message);
  });

  return async (name, argument, timeoutMs) => {
    const id = randomUUID();
    const answered = new Promise<Message>((resolve) => waiting.set(id, resolve));
    send({ type: 'm2pg:call', id, name, body: argument });
    const received = await Promise.race([answered, sleep(timeoutMs, undefined, { ref: false })]);
    waiting.delete(id);
    if (received === undefined) throw new Error(`no answer to ${name} within ${timeoutMs} ms`);
    if (received.type === 'm2pg:error') throw new Error(String(received.body));
    return received.body;
  };
}
