import type { Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import type { TlsAttempt } from './tls.ts';
import { addressOf, readUrlParameters } from './url-parameters.ts';

/** Every timeout of a connection, each in milliseconds; none may be left to a default of "for ever". */
export interface ConnectionTimeouts {
  /** TCP, TLS and login together; as long again for the settings of the session. */
  readonly connectTimeoutMs: number;
  /** By the server's clock: ends a statement that runs too long, there. */
  readonly statementTimeoutMs: number;
  /** By our clock: frees us from a server that is frozen or gone and never fires its own. */
  readonly queryTimeoutMs: number;
}

/**
 * Options of `pg` for one connection to a database. They ask the server for no settings, which a pooler may refuse or ignore:
 * `session.ts` sets them.
 *
 * @param stream Makes its socket.
 */
export function connectionOptions(
  url: URL,
  attempt: TlsAttempt,
  timeouts: ConnectionTimeouts,
  stream: () => Socket,
): ClientConfig {
  const { applicationName, connectTimeoutMs, startupOptions, isTlsDirect } = readUrlParameters(url);
  return {
    connectionString: addressOf(url).href,
    stream,
    ssl: attempt.ssl,
    ...(isTlsDirect && attempt.ssl !== false && { sslnegotiation: 'direct' }),
    connectionTimeoutMillis: Math.min(timeouts.connectTimeoutMs, connectTimeoutMs),
    query_timeout: timeouts.queryTimeoutMs,
    // Notices a peer that vanished without a word, also on an idle connection behind a NAT.
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: applicationName,
    client_encoding: 'UTF8',
    ...(startupOptions !== '' && { options: startupOptions }),
  };
}
