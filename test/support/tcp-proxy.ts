import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/**
 * A network in front of a server, to be broken and healed at will.
 *
 * - `pass`: as if it were not there.
 * - `refuse`: nobody listens; connections that exist are reset.
 * - `black_hole`: accepts connections and says nothing; those that exist fall silent. What was sent meanwhile is
 *   delivered on healing, as TCP does.
 */
export type Fault = 'pass' | 'refuse' | 'black_hole';

export interface TcpProxy {
  /** The URL of the server, by way of the proxy. */
  readonly url: URL;
  set(fault: Fault): Promise<void>;
  /** Holds up every piece of data, either way, for so long. */
  delay(ms: number): void;
  /** Resets the connections that exist; new ones are made as before. */
  cut(): void;
  /** Connections accepted so far. */
  readonly accepted: number;
}

/** Starts a proxy on a port of its own, gone when the test has finished. It keeps its port while it refuses. */
export async function startTcpProxy(target: URL, initial: Fault = 'pass'): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let fault = initial;
  let healed = Promise.withResolvers<void>();
  let delayMs = 0;
  let accepted = 0;

  const forward = (from: Socket, to: Socket) => {
    from.on('data', async (data) => {
      // One piece at a time, so that their order stays.
      from.pause();
      if (delayMs > 0) await sleep(delayMs);
      while (fault === 'black_hole') await healed.promise;
      if (!to.destroyed) to.write(data);
      from.resume();
    });
    from.on('error', () => undefined);
    from.on('close', () => to.destroy());
  };

  const server = createServer((client) => {
    accepted += 1;
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    forward(client, upstream);
    forward(upstream, client);
  });

  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };

  const close = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    cut();
    await closed;
  };

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  if (initial === 'refuse') await close();
  onTestFinished(async () => {
    fault = 'refuse';
    healed.resolve();
    await close();
  });

  const url = new URL(target);
  url.host = `127.0.0.1:${port}`;
  return {
    url,
    async set(next) {
      fault = next;
      if (next === 'refuse') await close();
      else if (!server.listening) await once(server.listen(port, '127.0.0.1'), 'listening');
      if (next === 'black_hole') return;
      healed.resolve();
      healed = Promise.withResolvers<void>();
    },
    delay(ms) {
      delayMs = ms;
    },
    cut,
    get accepted() {
      return accepted;
    },
  };
}
