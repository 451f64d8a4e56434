import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { isBulkLoad } from './bulk-route.ts';
import { answerUnfitRequests, listenerOf, timeoutAnswer } from './unfit-requests.ts';

/**
 * A body of 8 MiB passes a slow link in this time; who needs longer holds a connection for nothing. A bulk load may take
 * any time, so that the head is limited by Node and the body here: Node knows one limit for all requests.
 */
const requestTimeoutMs = 30_000;

/** Longer than the idle timeout of common load balancers (60 s), so that they, not we, close a connection. */
const keepAliveTimeoutMs = 65_000;

/** Each holds some ten kilobytes, and part of a body. */
const defaultConnectionsMax = 1_000;

/**
 * What an answer must be taken at, but for as long as a request may take: a streamed one holds a cursor, and the turn of
 * another read. A slow phone takes three times as much. A client that takes this much is never cut off.
 */
const takenBytesPerMsMin = 32;

/** When we stop, a connection on which nothing was asked may have a request on its way; after this it has none. */
const quietMs = 250;

/** An HTTP server that listens. */
export interface HttpServer {
  /** The port that it really got. */
  readonly port: number;
  /**
   * Takes no new connections, lets requests in progress end, and after the grace period cuts what is left.
   *
   * @param onCut Is told how many requests those were, if any.
   */
  stop(graceMs: number, onCut?: (requests: number) => void): Promise<void>;
}

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  /**
   * For the head of a request, and for the whole of it unless it is a bulk load; also how long an answer may wait for its
   * client to take more of it. Half a minute when left out.
   */
  readonly timeoutMs?: number;
  /** What comes beyond is closed at once. */
  readonly connectionsMax?: number;
}

/** Starts to serve. Rejects, with `code` EADDRINUSE among others, when it cannot listen there. */
export async function serveHttp(
  app: OpenAPIHono,
  { host, port, timeoutMs = requestTimeoutMs, connectionsMax = defaultConnectionsMax }: ServerOptions,
): Promise<HttpServer> {
  const checkEveryMs = Math.ceil(timeoutMs / 10);
  const options = {
    headersTimeout: timeoutMs,
    requestTimeout: 0,
    connectionsCheckingInterval: checkEveryMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    requireHostHeader: false,
  };
  const server = createServer(options, listenerOf(app));
  // A client that closes its sending side after the request, as `nc -N` does, still wants the answer. With this property, which
  // Node does not document, it closes the connection after the last answer or, when no request is in progress, at once.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, resolve);
  });
  const connections = trackConnections(server);
  const sweep = setInterval(() => {
    connections.cutSlow(timeoutMs);
    connections.cutUnread(timeoutMs, checkEveryMs);
  }, checkEveryMs).unref();
  return {
    port: (server.address() as AddressInfo).port,
    async stop(graceMs, onCut = () => undefined) {
      // Not the `close` of HTTP: it would cut off a response that is complete but not yet sent to a slow client.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
      connections.closeWhenIdle();
      const quiet = setTimeout(connections.closeIdle, Math.min(quietMs, graceMs));
      const cut = setTimeout(() => {
        const requests = connections.inProgress();
        if (requests > 0) onCut(requests);
        server.closeAllConnections();
      }, graceMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(quiet);
      clearTimeout(cut);
    },
  };
}

/** What is known of a connection. */
interface Connection {
  /** With the time when each began. */
  readonly inProgress: Map<ServerResponse, number>;
  /** Bytes that have gone out, at the last look. */
  takenBytes: number;
  /**
   * How long answers have waited for the client, minus the time that the bytes it has taken are worth. Negative: it was
   * faster than it must be. That is credit, which it needs, since the system takes a megabyte or more at once and then nothing
   * for a while.
   */
  owedMs: number;
}

/** Knows the responses in progress on each connection, so that each can be closed as soon as it has none. */
function trackConnections(server: Server) {
  const connections = new Map<Socket, Connection>();
  let isStopping = false;
  // Tells a client that keeps connections to leave this one.
  const leaveAfter = (response: ServerResponse | undefined) => {
    if (response && !response.headersSent) response.setHeader('Connection', 'close');
  };
  server.on('connection', (socket: Socket) => {
    connections.set(socket, { inProgress: new Map(), takenBytes: 0, owedMs: 0 });
    socket.once('close', () => connections.delete(socket));
  });
  // Before the listener that answers, which may do so at once.
  server.prependListener('request', ({ socket }, response) => {
    const inProgress = connections.get(socket)?.inProgress;
    inProgress?.set(response, performance.now());
    if (isStopping) leaveAfter(response);
    response.once('close', () => {
      inProgress?.delete(response);
      if (isStopping && inProgress?.size === 0) socket.destroySoon();
    });
  });
  answerUnfitRequests(server, (socket) => [...(connections.get(socket)?.inProgress.keys() ?? [])]);
  return {
    /** Requests that have no whole answer yet. */
    inProgress: () => [...connections.values()].reduce((sum, { inProgress }) => sum + inProgress.size, 0),
    /** From now on, each connection that ends a request; those that have none may begin one. */
    closeWhenIdle() {
      isStopping = true;
      for (const { inProgress } of connections.values()) leaveAfter([...inProgress.keys()].at(-1));
    },
    /** Those whose request has not arrived in time. Bulk loads have a limit of their own. */
    cutSlow(timeoutMs: number) {
      const latest = performance.now() - timeoutMs;
      for (const [socket, { inProgress }] of connections) {
        for (const [{ req, headersSent }, begun] of inProgress) {
          if (begun > latest || req.complete || isBulkLoad(req)) continue;
          if (!headersSent) socket.write(timeoutAnswer);
          socket.destroySoon();
        }
      }
    },
    /** Those whose clients do not take their answers, or take next to nothing; to be called so often. */
    cutUnread(timeoutMs: number, everyMs: number) {
      for (const [socket, connection] of connections) {
        const takenBytes = socket.bytesWritten - socket.writableLength;
        const isWaiting = socket.writableLength > 0;
        const paidMs = (takenBytes - connection.takenBytes) / takenBytesPerMsMin;
        connection.takenBytes = takenBytes;
        const owedMs = connection.owedMs - paidMs + (isWaiting ? everyMs : -everyMs);
        connection.owedMs = Math.max(-timeoutMs, owedMs);
        // Else the system would go on to offer what it holds of the answer.
        if (connection.owedMs > timeoutMs) socket.resetAndDestroy();
      }
    },
    /** Those that have no request in progress. */
    closeIdle() {
      for (const [socket, { inProgress }] of connections) if (inProgress.size === 0) socket.destroySoon();
    },
  };
}
