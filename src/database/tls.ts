/**
 * `sslmode` as users of libpq know it, which is not as `pg` understands it: `pg` takes `require` for `verify-full`.
 *
 * | sslmode             | TLS                       | certificate                                               |
 * |---------------------|---------------------------|-----------------------------------------------------------|
 * | disable             | never                     | –                                                         |
 * | allow               | if plain is refused       | not checked                                               |
 * | prefer (default)    | if the server has it      | not checked                                               |
 * | require, no-verify  | always                    | not checked; with `require` and a `sslrootcert`: the chain |
 * | verify-ca           | always                    | the chain                                                 |
 * | verify-full         | always                    | the chain and the host name                               |
 *
 * The chain is checked against `sslrootcert` (a file, or `system`) or, without it, against Node's own roots.
 * https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';

const sslModes = ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'] as const;

/** One of the modes of the table above. */
export type SslMode = (typeof sslModes)[number];

/** What a connection turned out to be: shown in `/-/status`. */
export type TlsState = 'off' | 'unverified' | 'verified';

/** One way to connect; a mode may allow two, tried in this order. */
export interface TlsAttempt {
  readonly ssl: false | ConnectionOptions;
  readonly state: TlsState;
}

/** True for a mode of the table above. */
export function isSslMode(text: string): text is SslMode {
  return sslModes.some((mode) => mode === text);
}

/**
 * The attempts that a database URL asks for by `sslmode`, `sslrootcert`, `sslcert` and `sslkey`.
 *
 * @param defaultMode Where the URL names none, as libpq takes it from `PGSSLMODE`.
 * @throws Error when a file that the URL names cannot be read.
 */
export function tlsAttempts(url: URL, defaultMode: SslMode = 'prefer'): readonly TlsAttempt[] {
  const named = url.searchParams.get('sslmode') ?? defaultMode;
  const mode = isSslMode(named) ? named : defaultMode;
  const files = certificateFiles(url);
  const off: TlsAttempt = { ssl: false, state: 'off' };
  const unverified: TlsAttempt = { ssl: { ...files, rejectUnauthorized: false }, state: 'unverified' };
  const chain: TlsAttempt = {
    ssl: { ...files, rejectUnauthorized: true, checkServerIdentity: () => undefined },
    state: 'verified',
  };
  switch (mode) {
    case 'disable':
      return [off];
    case 'allow':
      return [off, unverified];
    case 'prefer':
      return [unverified, off];
    case 'no-verify':
      return [unverified];
    case 'require':
      return [files.ca === undefined ? unverified : chain];
    case 'verify-ca':
      return [chain];
    case 'verify-full':
      return [{ ssl: { ...files, rejectUnauthorized: true }, state: 'verified' }];
  }
}

function certificateFiles(url: URL): Pick<ConnectionOptions, 'ca' | 'cert' | 'key'> {
  const read = (parameter: string) => {
    const path = url.searchParams.get(parameter);
    return path === null || path === 'system' ? undefined : readFileSync(path, 'utf8');
  };
  const [ca, cert, key] = [read('sslrootcert'), read('sslcert'), read('sslkey')];
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}
