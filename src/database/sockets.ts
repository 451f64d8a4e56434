import { Socket } from 'node:net';

/**
 * The sockets of some connections. A goodbye to a server that fell silent is never answered, and the system would keep
 * its socket for a quarter of an hour: who owns the socket can end it.
 */
export interface Sockets {
  /** A new one, not connected yet: `stream` in the options of `pg`. */
  readonly stream: () => Socket;
  /** Ends all of them without another word. */
  destroy(): void;
}

/** Has no socket yet, and forgets each that is closed. */
export function createSockets(): Sockets {
  const open = new Set<Socket>();
  return {
    stream() {
      const socket = new Socket();
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      return socket;
    },
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
}
