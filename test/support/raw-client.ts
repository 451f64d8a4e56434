import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { eventually } from './service-process.ts';

/** A connection on which a test sends the very bytes that some client would. */
export interface RawClient {
  readonly socket: Socket;
  /** Everything received so far. */
  received(): string;
  /** Resolves with everything received once it matches. */
  receives(pattern: RegExp): Promise<string>;
  /** Resolves with everything received once the server has closed the connection. */
  closed(): Promise<string>;
}

/** Connects to a port of this machine; disconnects when the test has finished. */
export async function connectRaw(port: number): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let received = '';
  socket.setEncoding('latin1');
  socket.on('data', (text) => {
    received += text;
  });
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(received)));
  await once(socket, 'connect');
  // From here on a reset is what some tests are about.
  socket.on('error', () => undefined);
  return {
    socket,
    received: () => received,
    receives: (pattern) =>
      eventually(() => {
        if (!pattern.test(received)) throw new Error(`expected ${pattern}, received:\n${received}`);
        return received;
      }),
    closed: () => closed,
  };
}

/** A request as text, lines ended as HTTP wants them. */
export function rawRequest(headLines: readonly string[], body = ''): string {
  return `${headLines.join('\r\n')}\r\n\r\n${body}`;
}
