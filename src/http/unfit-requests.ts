/**
 * Requests that never reach the app because they are no HTTP, or none that is spoken here: they get problem JSON (RFC 9457)
 * as every other refusal, and the connection is closed, since nobody can tell where the next one would begin.
 */
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { securityHeaders } from './security-headers.ts';

type Refusal = readonly [status: number, type: string, detail: string];

const malformed = (detail: string): Refusal => [400, 'malformed_request', detail];

/** By the code of the error that Node raises. */
const refusals: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request_timeout', 'the request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'headers_too_large', 'the request line and the headers may have at most 16 KiB together'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'body_too_large', 'the extensions of chunks may have at most 16 KiB'],
  HPE_INVALID_CONTENT_LENGTH: malformed('expected one Content-Length, a number, and none beside Transfer-Encoding'),
  HPE_UNEXPECTED_CONTENT_LENGTH: malformed('expected one Content-Length, and none beside Transfer-Encoding'),
  HPE_INVALID_TRANSFER_ENCODING: malformed('expected no Transfer-Encoding but chunked, without a Content-Length'),
  HPE_INVALID_CHUNK_SIZE: malformed('expected the size of each chunk as a hexadecimal number of bytes'),
  HPE_INVALID_METHOD: malformed('expected an HTTP/1.1 request, without TLS'),
  HPE_PAUSED_H2_UPGRADE: malformed('expected HTTP/1.1; HTTP/2 is not spoken here'),
  HPE_INVALID_VERSION: malformed('expected HTTP/1.1, and CR LF at the end of each line of the head'),
};

const otherwise = malformed('expected an HTTP/1.1 request');
const noHost = malformed('expected a Host header');
const severalHosts = malformed('expected one Host header, not several');
const badHost = malformed('expected a Host header that names a host, and a port if it is not the usual one');
const badVersion = malformed('expected HTTP/1.1');
const badCoding = malformed('expected no Transfer-Encoding but chunked, and that of HTTP/1.1');
const badTarget = malformed('expected a path in the request line, and a Host header that names a host');
const badExpectation: Refusal = [417, 'expectation_failed', 'expected no Expect header but 100-continue'];
const noProxy: Refusal = [405, 'method_not_allowed', 'this is no proxy'];

/** Makes a listener of an app. */
export function listenerOf(app: OpenAPIHono): RequestListener {
  const refused = new WeakSet<Socket>();
  let asking: Socket | undefined;
  const listener = getRequestListener(app.fetch, {
    // HTTP/1.0 has no Host header; some health checks still speak it.
    hostname: 'localhost',
    // Called for an invalid URL only: the app answers all other errors itself.
    errorHandler: () => {
      if (asking) refused.add(asking);
      const { status, headers, body } = answerOf(badTarget);
      return new Response(body, { status, headers });
    },
  });
  return (request, response) => {
    // A refused request before it ends the connection.
    if (refused.has(request.socket)) return;
    const refusal = refusalOf(request);
    if (refusal !== undefined) {
      refused.add(request.socket);
      return end(response, refusal);
    }
    asking = request.socket;
    void listener(request, response);
    asking = undefined;
  };
}

/** A host by RFC 3986, a name, an IPv4 address or an IPv6 address in brackets, and maybe a port. RFC 9112 allows an empty Host. */
const host = /^(\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?$/i;

/** Refuses what Node accepts although RFC 9112 forbids it: a proxy in front may have understood it in another way. */
function refusalOf({ rawHeaders, headers, httpVersion }: IncomingMessage): Refusal | undefined {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return badVersion;
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && (httpVersion !== '1.1' || coding.trim().toLowerCase() !== 'chunked')) return badCoding;
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.length === 4 && /^host$/i.test(name));
  if (hosts.length > 1) return severalHosts;
  if (hosts.length === 0) return httpVersion === '1.1' ? noHost : undefined;
  return host.test(headers.host ?? '') ? undefined : badHost;
}

/**
 * Answers what a server cannot make a request of.
 *
 * @param inProgressOn The responses of a connection that have not ended, in the order of their requests.
 */
export function answerUnfitRequests(server: Server, inProgressOn: (socket: Socket) => readonly ServerResponse[]): void {
  server.on('clientError', ({ code = '' }: NodeJS.ErrnoException, socket: Socket) => {
    refuse(socket, refusals[code] ?? otherwise, inProgressOn(socket));
  });
  server.on('connect', (_, socket) => refuse(socket as Socket, noProxy, inProgressOn(socket as Socket)));
  server.on('checkExpectation', (_, response) => end(response, badExpectation));
}

/** The whole answer to a request that did not arrive in time, as it goes over the wire. */
export const timeoutAnswer = wireOf(refusals.ERR_HTTP_REQUEST_TIMEOUT ?? otherwise);

/** The requests before it are answered first: else a client would take this for the answer to one of them. */
function refuse(socket: Socket, refusal: Refusal, inProgress: readonly ServerResponse[]): void {
  // What else arrives cannot be understood either, and would be refused again.
  socket.pause();
  const whole = inProgress.filter(({ req }) => req.complete);
  // The one whose body cannot be understood.
  const broken = inProgress.find(({ req }) => !req.complete);
  const answer = () => {
    if (socket.writable && !broken?.headersSent) socket.write(wireOf(refusal));
    socket.destroySoon();
  };
  const last = whole.at(-1);
  if (last === undefined) answer();
  else last.once('close', answer);
}

function end(response: ServerResponse, refusal: Refusal): void {
  const { status, headers, body } = answerOf(refusal);
  response.writeHead(status, headers).end(body);
}

function wireOf(refusal: Refusal): string {
  const { status, headers, body } = answerOf(refusal);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

function answerOf([status, type, detail]: Refusal) {
  const body = JSON.stringify({ type: `urn:m2pg:problem:${type}`, title: STATUS_CODES[status], status, detail });
  const headers = {
    ...securityHeaders,
    'Content-Type': 'application/problem+json',
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  };
  return { status, headers, body };
}
