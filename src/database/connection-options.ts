import type { Socket } from 'node:net';
import type { ClientConfig } from 'pg';
import type { TlsAttempt } from './tls.ts';

/** Every timeout of a connection, each in milliseconds; none may be left to a default of "for ever". */
export interface ConnectionTimeouts {
  /** TCP, TLS and login together. */
  readonly connectTimeoutMs: number;
  /** By the server's clock: ends a statement that runs too long, there. */
  readonly statementTimeoutMs: number;
  /** By our clock: frees us from a server that is frozen or gone and never fires its own. */
  readonly queryTimeoutMs: number;
}

/** A server whose client has vanished keeps the session, and its place among the connections, for hours; so, two minutes. */
const serverKeepAlive = { tcp_keepalives_idle: '60', tcp_keepalives_interval: '20', tcp_keepalives_count: '3' };

/** What `pg` would understand in its own way: `ssl=true` for `verify-full`. Encryption is decided in `tls.ts`. */
const oursAlone = ['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'uselibpqcompat', 'options'];

/**
 * Options of `pg` for one connection to a database.
 *
 * @param stream Makes its socket.
 * @param settings Parameters of the server for its sessions, unless the URL's `options` name others.
 */
export function connectionOptions(
  url: URL,
  attempt: TlsAttempt,
  timeouts: ConnectionTimeouts,
  stream: () => Socket,
  settings: Readonly<Record<string, string>> = {},
): ClientConfig {
  const bare = new URL(url);
  for (const parameter of oursAlone) bare.searchParams.delete(parameter);
  const options = url.searchParams.get('options');
  const defaults = Object.entries({ ...serverKeepAlive, ...settings }).map(([name, value]) => `-c ${name}=${value}`);
  return {
    connectionString: bare.href,
    stream,
    ssl: attempt.ssl,
    connectionTimeoutMillis: timeouts.connectTimeoutMs,
    statement_timeout: timeouts.statementTimeoutMs,
    query_timeout: timeouts.queryTimeoutMs,
    // A transaction that was left open would hold back vacuum; ours end within one statement's time.
    idle_in_transaction_session_timeout: timeouts.statementTimeoutMs,
    // Notices a peer that vanished without a word, also on an idle connection behind a NAT.
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: 'm2pg',
    client_encoding: 'UTF8',
    // What the URL asks for wins over our settings, but an acknowledged commit is on disk, whoever asks otherwise.
    options: [...defaults, options ?? '', '-c synchronous_commit=on'].join(' ').trim(),
  };
}
