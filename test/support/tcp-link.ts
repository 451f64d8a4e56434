import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { findStablePort } from './stable-port.ts';

/**
 * A network in front of a server, to be broken and healed at will.
 *
 * - `pass`: as if it were not there.
 * - `refuse`: nobody listens; connections that exist are reset.
 * - `reset`: connections are accepted and reset at once, those that exist too.
 * - `black_hole`: accepts connections and says nothing; those that exist fall silent. What was sent meanwhile is
 *   delivered on healing, as TCP does.
 * - `mute`: what the server is asked reaches it, what it answers is lost; its connections are reset on healing.
 */
export type Fault = 'pass' | 'refuse' | 'reset' | 'black_hole' | 'mute';

export interface TcpLink {
  /** The URL of the server, by way of the link. */
  readonly url: URL;
  set(fault: Fault): Promise<void>;
  /** Holds up every piece of data, either way, for so long. */
  delay(ms: number): void;
  /** Lets so many bytes a second through each connection, either way. */
  throttle(bytesPerSecond: number): void;
  /** Resets the connections that exist; new ones are made as before. */
  cut(): void;
  /**
   * The connections that exist are unknown, as after a firewall has forgotten them: what is sent on them gets no answer
   * for ever or, if so wanted, a reset. New ones are made as before.
   */
  forget(how?: 'silently' | 'with resets'): void;
  /** Resets each connection in the middle of the next reply that is longer than this. */
  tear(bytes: number): void;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Those that are open now. */
  readonly open: number;
  close(): Promise<void>;
}

/**
 * Starts a link on a port of its own, which it keeps while it refuses.
 *
 * @param host An address of this machine.
 */
export async function openTcpLink(target: URL, initial: Fault = 'pass', host = '127.0.0.1'): Promise<TcpLink> {
  const sockets = new Set<Socket>();
  const forgotten = new WeakMap<Socket, 'silently' | 'with resets'>();
  let fault = initial;
  let healed = Promise.withResolvers<void>();
  let delayMs = 0;
  let bytesPerSecond = Number.POSITIVE_INFINITY;
  let tornBytes = Number.POSITIVE_INFINITY;
  let accepted = 0;

  const passThrough = async (bytes: number) => {
    const pauseMs = delayMs + (bytes / bytesPerSecond) * 1_000;
    if (pauseMs > 0) await sleep(pauseMs);
    while (fault === 'black_hole') await healed.promise;
  };

  /** @returns Whether the connection is to go on. */
  const deliver = (data: Buffer, from: Socket, to: Socket, isReply: boolean): boolean => {
    const how = forgotten.get(from);
    if (how === 'with resets') for (const socket of [from, to]) socket.resetAndDestroy();
    if (how) return false;
    if (isReply && fault === 'mute') return true;
    if (isReply && data.length > tornBytes) {
      to.write(data.subarray(0, tornBytes), () => to.resetAndDestroy());
      from.destroy();
      return false;
    }
    if (!to.destroyed) to.write(data);
    return true;
  };

  const forward = (from: Socket, to: Socket, isReply: boolean) => {
    from.on('data', async (data) => {
      // One piece at a time, so that their order stays.
      from.pause();
      await passThrough(data.length);
      if (deliver(data, from, to, isReply)) from.resume();
    });
    from.on('error', () => undefined);
    from.on('close', () => to.destroy());
  };

  const server = createServer((client) => {
    accepted += 1;
    if (fault === 'reset') return void client.resetAndDestroy();
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    forward(client, upstream, false);
    forward(upstream, client, true);
  });

  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const closeServer = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  };

  const port = await findStablePort(host);
  await once(server.listen(port, host), 'listening');
  if (initial === 'refuse') await closeServer();

  const url = new URL(target);
  url.host = `${host}:${port}`;
  return {
    url,
    async set(next) {
      if (next === 'reset' || fault === 'mute') cut();
      fault = next;
      if (next === 'refuse') await closeServer();
      else if (!server.listening) await once(server.listen(port, host), 'listening');
      if (next === 'black_hole') return;
      healed.resolve();
      healed = Promise.withResolvers<void>();
    },
    delay(ms) {
      delayMs = ms;
    },
    throttle(limit) {
      bytesPerSecond = limit;
    },
    cut,
    forget(how = 'silently') {
      for (const socket of sockets) forgotten.set(socket, how);
    },
    tear(bytes) {
      tornBytes = bytes;
    },
    get accepted() {
      return accepted;
    },
    get open() {
      return sockets.size / 2;
    },
    async close() {
      fault = 'refuse';
      healed.resolve();
      await closeServer();
    },
  };
}
