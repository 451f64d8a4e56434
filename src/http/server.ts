import type { Server, ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';

/** A body of 8 MiB passes a slow link in this time; who needs longer holds a connection for nothing. */
const requestTimeoutMs = 30_000;

/** Longer than the idle timeout of common load balancers (60 s), so that they, not we, close a connection. */
const keepAliveTimeoutMs = 65_000;

export interface HttpServer {
  /** The port that it really got. */
  readonly port: number;
  /** Takes no new connections, lets requests in progress end, and after the grace period cuts what is left. */
  stop(graceMs: number): Promise<void>;
}

/** Starts to serve. Rejects, with `code` EADDRINUSE among others, when it cannot listen there. */
export async function serveHttp(app: OpenAPIHono, host: string, port: number): Promise<HttpServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    // HTTP/1.0 has no Host header; some health checks still speak it.
    hostname: 'localhost',
    serverOptions: { requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveTimeoutMs },
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  const connections = trackConnections(server);
  return {
    port: (server.address() as AddressInfo).port,
    async stop(graceMs) {
      // Not the `close` of HTTP: it would cut off a response that is complete but not yet sent to a slow client.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
      connections.closeWhenIdle();
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(cut);
    },
  };
}

/** Knows the responses in progress on each connection, so that each can be closed as soon as it has none. */
function trackConnections(server: Server) {
  const connections = new Map<Socket, Set<ServerResponse>>();
  let isStopping = false;
  server.on('connection', (socket: Socket) => {
    connections.set(socket, new Set());
    socket.once('close', () => connections.delete(socket));
  });
  // Before the listener that answers, which may do so at once.
  server.prependListener('request', ({ socket }, response) => {
    const inProgress = connections.get(socket);
    inProgress?.add(response);
    response.once('close', () => {
      inProgress?.delete(response);
      if (isStopping && inProgress?.size === 0) socket.destroySoon();
    });
  });
  return {
    closeWhenIdle() {
      isStopping = true;
      for (const [socket, inProgress] of connections) {
        const last = [...inProgress].at(-1);
        if (last === undefined) socket.destroySoon();
        // Tells a client that keeps connections to leave this one.
        else if (!last.headersSent) last.setHeader('Connection', 'close');
      }
    },
  };
}
