import { Socket, setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';

/**
 * Of several addresses of a host, each is given so long to take a connection before the next is tried, and only the last one the
 * rest of the connect timeout. Node's default of 250 ms would give up an address on a network where a round trip takes
 * longer, and then wait for one that is dead. For the whole process: nothing else in it connects to names.
 */
const addressTimeoutMs = 1_000;
setDefaultAutoSelectFamilyAttemptTimeout(addressTimeoutMs);

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
