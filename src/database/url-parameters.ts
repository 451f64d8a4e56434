/**
 * What the URL of a database may say after its `?`. The driver would take any parameter for an option of its own, also one that
 * turns a limit off: so only those of this list reach it, and others are refused when the program starts.
 */
import { guardedSettings, pinnedSettings } from './session-settings.ts';

/** Where the database is and who connects, as the driver reads it. */
const addressing = ['host', 'port', 'user', 'password'];

/** Read in `tls.ts`. */
const ofTls = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey'];

/** Taken for what m2pg does anyway, since providers put them into the URLs that they give out. */
const withoutEffect = ['channel_binding', 'gssencmode', 'fallback_application_name'];

const others = ['application_name', 'connect_timeout', 'options', 'sslnegotiation'];

/** All that a URL may have, for the person who wrote it. */
const known = [...addressing, ...ofTls, ...others, ...withoutEffect];

/** Limits, and what the connection depends on. m2pg sets them; the value 0 would mean that there is no limit. */
const setByUs = [
  'statement_timeout',
  'query_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'transaction_timeout',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'client_encoding',
];

/** Settings of the server that the options of a URL may not change: m2pg has reasons of its own for each. */
const settingsOfOurs = new Set([
  ...setByUs,
  ...Object.keys(pinnedSettings),
  ...Object.keys(guardedSettings),
  'm2pg.session',
]);

/** What a URL asks for beyond an address and TLS. */
export interface UrlParameters {
  readonly applicationName: string;
  /** Seconds as libpq takes them, here in milliseconds; never more than m2pg waits anyway. */
  readonly connectTimeoutMs: number;
  /** Settings of the server, from its `options`, by lower-case name. */
  readonly settings: Readonly<Record<string, string>>;
  /** The rest of its `options`, which something between us and the server may understand. */
  readonly startupOptions: string;
  readonly isTlsDirect: boolean;
}

/** Reads a URL; what `findUrlProblems` complains of is left out. */
export function readUrlParameters({ searchParams }: URL): UrlParameters {
  const seconds = searchParams.get('connect_timeout') ?? '';
  const { settings, rest } = readOptions(searchParams.get('options') ?? '');
  return {
    applicationName: searchParams.get('application_name') || 'm2pg',
    connectTimeoutMs: isTimeout(seconds) ? Number(seconds) * 1_000 : Number.POSITIVE_INFINITY,
    settings: Object.fromEntries(Object.entries(settings).filter(([name]) => !settingsOfOurs.has(name))),
    startupOptions: rest.join(' '),
    isTlsDirect: searchParams.get('sslnegotiation') === 'direct',
  };
}

/** The URL with what the driver is to know of it, and no more. */
export function addressOf(url: URL): URL {
  const address = new URL(url);
  for (const name of new Set(address.searchParams.keys())) {
    if (!addressing.includes(name)) address.searchParams.delete(name);
  }
  return address;
}

/** What is wrong with the parameters of a URL, each as the end of a sentence about the database: `has …`. Shows no values. */
export function findUrlProblems(url: URL): string[] {
  const names = [...new Set(url.searchParams.keys())];
  return [...names.flatMap((name) => problemOf(name, url) ?? []), ...problemsOfOptions(url)];
}

function problemOf(name: string, url: URL): string | undefined {
  if (url.searchParams.getAll(name).length > 1) return `has ${nameOf(name, url)} twice`;
  const value = url.searchParams.get(name) ?? '';
  if (setByUs.includes(name)) return `has the parameter ${name}, which m2pg sets itself: leave it out`;
  if (name === 'ssl') return 'has the parameter ssl; expected sslmode=require, or another sslmode';
  if (name === 'connect_timeout' && !isTimeout(value)) {
    return 'has a connect_timeout that is no limit; expected whole seconds from 1 to 9999, of which m2pg waits 5 at most';
  }
  if (name === 'sslnegotiation' && !['postgres', 'direct'].includes(value)) {
    return 'has an unknown sslnegotiation; expected postgres or direct';
  }
  if (name === 'application_name' && !/^[\x20-\x7e]{1,63}$/.test(value)) {
    return 'has an application_name that is not 1 to 63 characters of ASCII';
  }
  return known.includes(name)
    ? undefined
    : `has ${nameOf(name, url)}, which m2pg does not know; known are ${known.join(', ')}`;
}

/** A `?` in a password that is not percent-encoded makes a parameter of the rest of it. */
function nameOf(name: string, { search }: URL): string {
  return /^[a-z_]{1,40}$/i.test(name) && !search.includes('@') ? `the parameter ${name}` : 'a parameter';
}

function problemsOfOptions({ searchParams }: URL): string[] {
  const { settings } = readOptions(searchParams.get('options') ?? '');
  return Object.entries(settings)
    .filter(([name, value]) => settingsOfOurs.has(name) && !isAsPinned(name, value))
    .map(([name]) => `sets ${name} in its options, which m2pg sets itself: leave it out`);
}

function isAsPinned(name: string, value: string): boolean {
  return pinnedSettings[name]?.toLowerCase() === value.toLowerCase();
}

function isTimeout(seconds: string): boolean {
  return /^[1-9]\d{0,3}$/.test(seconds);
}

/**
 * Reads options as the server does: words, of which `-c name=value` and `--name=value` are settings. A backslash takes the
 * meaning from the character after it.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
 */
function readOptions(text: string): { settings: Record<string, string>; rest: string[] } {
  const words = text.replace(/(?<=^|\s)-c\s+/g, '-c').matchAll(/(?:\\.|[^\\\s])+/gs);
  const settings: Record<string, string> = {};
  const rest: string[] = [];
  for (const [word] of words) {
    const [, name, value] = /^(?:-c|--)([^=]+)=(.*)$/s.exec(word) ?? [];
    if (name === undefined || value === undefined) rest.push(word);
    else settings[name.toLowerCase().replaceAll('-', '_')] = value.replace(/\\(.)/gs, '$1');
  }
  return { settings, rest };
}
