import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';

/** A body of 8 MiB passes a slow link in this time; who needs longer holds a connection for nothing. */
const requestTimeoutMs = 30_000;

/** Longer than the idle timeout of common load balancers (60 s), so that they, not we, close a connection. */
const keepAliveTimeoutMs = 65_000;

/** An HTTP server that listens. */
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
    serverOptions: { requestTimeout: requestTimeoutMs, keepAliveTimeout: keepAliveTimeoutMs },
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  let isStopping = false;
  server.on('request', (_request, response) => {
    // Tells clients that keep connections to leave this one.
    if (isStopping && !response.headersSent) response.setHeader('Connection', 'close');
  });
  return {
    port: (server.address() as AddressInfo).port,
    async stop(graceMs) {
      isStopping = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(cut);
    },
  };
}
