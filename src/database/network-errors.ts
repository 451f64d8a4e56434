/** Errors of a connection that PostgreSQL itself does not raise: of the network, TLS, a pooler and the driver. */
import type { FailureCode } from '../domain/failure.ts';

/** The code of a failure and, where the code alone does not say enough, the words for it: `db1 is left out: it …`. */
export type Meaning = readonly [code: FailureCode, words?: string];

/** What the network says (Node's codes). */
const networkCodes: Readonly<Record<string, FailureCode>> = {
  ETIMEDOUT: 'timeout',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EPIPE: 'unreachable',
  ECONNABORTED: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETDOWN: 'unreachable',
  EINVAL: 'unreachable', // A route that leads nowhere (blackhole).
  EACCES: 'unreachable', // A route that is prohibited, or a Unix socket of somebody else.
  EPERM: 'unreachable', // A firewall of this machine.
  EADDRNOTAVAIL: 'unreachable', // No port is left for another connection.
  EMFILE: 'unreachable', // No file descriptor is left.
  ENOENT: 'unreachable', // A Unix socket that is not there.
};

const noTls = 'offers no acceptable TLS';
const unknownAuthority = 'its certificate is signed by no authority that we trust (sslrootcert)';
const otherHost = 'its certificate is for another host name';

/** What Node says of a certificate. https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const certificateWords: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet, or a clock is wrong',
  CERT_REVOKED: 'its certificate was revoked',
  CERT_UNTRUSTED: 'its certificate is not trusted',
  CERT_REJECTED: 'its certificate is rejected',
  CERT_SIGNATURE_FAILURE: 'the signature of its certificate is wrong',
  CERT_CHAIN_TOO_LONG: 'the chain of its certificate is too long',
  CRL_HAS_EXPIRED: 'the list of revoked certificates has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  INVALID_CA: unknownAuthority,
  INVALID_PURPOSE: 'its certificate is not for a server',
  HOSTNAME_MISMATCH: otherHost,
  ERR_TLS_CERT_ALTNAME_INVALID: otherHost,
};

/** Alerts that the server sends, and errors of OpenSSL: Node makes codes of their names. */
const alertWords: readonly (readonly [RegExp, string])[] = [
  [/CERTIFICATE_EXPIRED$/, 'our certificate (sslcert) has expired'],
  [/(CERTIFICATE_UNKNOWN|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_REVOKED)$/, 'it rejects our certificate (sslcert)'],
  [/CERTIFICATE_REQUIRED$/, 'it asks for a certificate (sslcert)'],
  [/VERSION|PROTOCOL/, 'it and we have no version of TLS in common'],
];

/** What an error of the network or of TLS means, by its code; undefined for one of neither. */
export function networkMeaning(code: string): Meaning | undefined {
  const known = networkCodes[code];
  if (known) return [known];
  const certificate = certificateWords[code];
  if (certificate) return ['tls', `${noTls}: ${certificate}`];
  if (!/^(ERR_SSL_|ERR_TLS_)/.test(code)) return undefined;
  const alert = alertWords.find(([pattern]) => pattern.test(code))?.[1];
  return ['tls', alert ? `${noTls}: ${alert}` : noTls];
}

/** A session that transactions of other clients share, whoever finds that out. */
export const sharedSession: Meaning = [
  'unsupported_database',
  'is behind a pooler that gives each transaction another session (pool_mode = transaction or statement); m2pg needs ' +
    'sessions of its own: set pool_mode = session, or connect to the server itself',
];

/**
 * PgBouncer reports nearly everything as a violation of the protocol (08P01), also what the server told it.
 * https://github.com/pgbouncer/pgbouncer/blob/master/src/client.c
 */
const poolerWords: readonly (readonly [RegExp, Meaning])[] = [
  [/in (statement|transaction) pooling mode/, sharedSession],
  [
    /unsupported (options )?startup parameter/,
    ['unsupported_database', 'is behind a pooler that refuses the options of its URL'],
  ],
  [
    /authentication (failed|rejected)|login rejected|no such user|^role .* does not exist|SSL required/,
    ['authentication'],
  ],
  [
    /no such database|^database .* (does not exist|is disabled)/,
    ['database_missing', 'does not exist behind its pooler'],
  ],
  [/permission denied/, ['permission_denied']],
  [
    /no more connections allowed|client connections exceeded|query_wait_timeout|too many (clients|connections)/,
    ['too_many_connections', 'is behind a pooler that has no connection left'],
  ],
  [/database system is|not accepting connections/, ['starting']],
  [/_timeout/, ['timeout', 'is behind a pooler that ended the connection by a timeout']],
  [/shutting down|server login|server conn|bouncer|pause failed/, ['unreachable', 'cannot be reached by its pooler']],
];

/** What PgBouncer means; undefined for what it does not say. */
export function poolerMeaning(message: string): Meaning | undefined {
  return poolerWords.find(([pattern]) => pattern.test(message))?.[1];
}

/** Errors that `pg` raises without a code, by what they say. */
const driverMessages: readonly (readonly [RegExp, FailureCode])[] = [
  [/timeout/i, 'timeout'],
  [/\bSSL\b|certificate/i, 'tls'],
  [/SASL|SCRAM|password/i, 'authentication'],
  [/terminated|closed|not queryable|after calling end/i, 'unreachable'],
];

/** What an error of the driver means that has no code. */
export function driverMeaning(message: string): Meaning | undefined {
  const code = driverMessages.find(([pattern]) => pattern.test(message))?.[1];
  return code && [code];
}
