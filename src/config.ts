import { z } from 'zod';
import { isSslMode, type SslMode } from './database/tls.ts';
import { findUrlProblems } from './database/url-parameters.ts';
import { type Scope, scopes, type Token } from './domain/token.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The configuration of the program, checked. */
export interface Config {
  /** In the order that names them db1 … dbN; 'embedded': none were given, and two of our own are to be started. */
  readonly databaseUrls: readonly URL[] | 'embedded';
  /** For URLs that name no sslmode. */
  readonly sslMode: SslMode;
  /** Where the platform or the user gave none, the next free one may be taken instead. */
  readonly port: number;
  readonly isPortGiven: boolean;
  readonly host: string;
  readonly writeAcks: number;
  readonly writeTimeoutMs: number;
  readonly readTimeoutMs: number;
  /** Undefined: kept for ever. */
  readonly retentionSeconds: number | undefined;
  /** How old what arrives may be. Undefined: from 1970 on. */
  readonly ageMaxSeconds: number | undefined;
  /** How long ago a week must have ended to be packed. Undefined: none is. */
  readonly packAfterSeconds: number | undefined;
  readonly bodyBytesMax: number;
  readonly poolSizeMax: number;
  /** Processes that serve on one port. */
  readonly webConcurrency: number;
  readonly logLevel: (typeof logLevels)[number];
  /** Of HTTP, a process. */
  readonly connectionsMax: number;
  /** None: whoever reaches the service may do everything. */
  readonly tokens: readonly Token[];
  /** Without tokens the service is meant to be open, wherever it listens. */
  readonly isOpen: boolean;
  /** Of pages that may call the service from a browser. */
  readonly corsOrigins: readonly string[];
}

/** The environment is wrong; each problem names its variable and what a good value looks like. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const embeddedDatabases = 2;

const whole = (least: number, most: number, unit: string) =>
  z.coerce
    .number({ error: `expected a whole number of ${unit}` })
    .int({ error: `expected a whole number of ${unit}` })
    .min(least, { error: `expected at least ${least} ${unit}` })
    .max(most, { error: `expected at most ${most} ${unit}` });

const portRange = { error: 'expected a port, a whole number between 0 and 65535' };
const port = z.coerce.number(portRange).int(portRange).min(0, portRange).max(65_535, portRange);

const unitDays: Record<string, number> = { d: 1, w: 7 };

/** Of days or weeks such as 90d. */
const toSeconds = (text: string) => Number(text.slice(0, -1)) * (unitDays[text.slice(-1)] ?? Number.NaN) * 86_400;

const retention = z
  .string()
  .regex(/^[1-9]\d{0,4}[dw]$/, { error: 'expected days or weeks such as 90d or 52w; unset: keep for ever' })
  .transform(toSeconds);

const ageMax = z
  .string()
  .regex(/^[1-9]\d{0,4}[dw]$/, { error: 'expected days or weeks such as 3650d or 520w; unset: from 1970 on' })
  .transform(toSeconds);

const packAfter = z
  .string()
  .regex(/^([1-9]\d{0,4}[dw]|never)$/, { error: 'expected days or weeks such as 14d or 4w, or never' })
  .default('14d')
  .transform((text) => (text === 'never' ? undefined : toSeconds(text)));

/** Base64, hexadecimal and most of what generators make; nothing that a header or a URL would change. */
const secretPattern = /^[A-Za-z0-9._~+/=-]{16,256}$/;

/** Of 16 characters at least, so that nobody guesses it; its message never shows it. */
const secret = z.string().regex(secretPattern, {
  error: 'expected a token of 16 to 256 letters, digits and . _ ~ + / = -, such as openssl rand -hex 32 makes',
});

const tokens = z
  .string()
  .transform((text, context) =>
    text.split(',').flatMap((entry, index): Token[] => {
      const [scope = '', ...rest] = entry.trim().split(':');
      const value = rest.join(':');
      if (isScope(scope) && secretPattern.test(value)) return [{ scope, secret: value }];
      const message = isScope(scope)
        ? `token ${index + 1}, to ${scope}, is not 16 to 256 letters, digits and . _ ~ + / = -`
        : `token ${index + 1} has no scope; expected read:…, write:… or admin:…, separated by commas`;
      context.addIssue({ code: 'custom', message });
      return [];
    }),
  )
  .default([]);

function isScope(text: string): text is Scope {
  return (scopes as readonly string[]).includes(text);
}

const origins = z
  .string()
  .transform((text) => text.split(',').map((origin) => origin.trim()))
  .refine((list) => list.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin), {
    error: 'expected origins such as https://example.com, separated by commas',
  })
  .default([]);

const schema = z.object({
  PORT: port.default(8_080),
  HOST: z
    .string()
    .regex(/^[A-Za-z0-9._:%-]+$/, { error: 'expected a host name or an address such as 127.0.0.1 or ::' })
    .optional(),
  WRITE_ACKS: z
    .string()
    .regex(/^([1-9]\d{0,2}|majority|all)$/, { error: 'expected a number of databases, majority or all' })
    .default('1'),
  WRITE_TIMEOUT_MS: whole(10, 600_000, 'milliseconds').default(2_000),
  READ_TIMEOUT_MS: whole(10, 600_000, 'milliseconds').default(10_000),
  RETENTION: retention.optional(),
  AGE_MAX: ageMax.optional(),
  PACK_AFTER: packAfter,
  BODY_BYTES_MAX: whole(1_024, 256 * 1_024 * 1_024, 'bytes').default(8 * 1_024 * 1_024),
  POOL_SIZE_MAX: whole(2, 1_000, 'connections').default(8),
  WEB_CONCURRENCY: whole(1, 64, 'processes').default(1),
  CONNECTIONS_MAX: whole(1, 100_000, 'connections').default(1_000),
  TOKENS: tokens,
  READ_TOKEN: secret.optional(),
  WRITE_TOKEN: secret.optional(),
  ADMIN_TOKEN: secret.optional(),
  OPEN: z
    .enum(['0', '1'], { error: 'expected 1, for a service that is open to whoever reaches it, or 0' })
    .default('0'),
  CORS_ORIGINS: origins,
  LOG_LEVEL: z.enum(logLevels, { error: `expected one of ${logLevels.join(', ')}` }).default('info'),
  PGSSLMODE: z
    .string()
    .refine(isSslMode, { error: 'expected an sslmode of libpq such as prefer or verify-full' })
    .default('prefer'),
});

/**
 * Reads the whole configuration, once.
 *
 * @throws ConfigError with all problems, none of which shows a URL: it may hold a password.
 */
export function readConfig(environment: Environment): Config {
  // A variable that is set to nothing is one that is not set: `PORT= npm start`.
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const parsed = schema.safeParse(given);
  const problems = parsed.success
    ? []
    : parsed.error.issues.map(({ path: [name], message }) => {
        return `${String(name)}: ${message}, not ${quote(String(name), given[String(name)])}`;
      });
  const databaseUrls = readDatabaseUrls(given, problems);
  // As many as are listed, so that a URL that is wrong does not make WRITE_ACKS wrong as well.
  const listed = given.DATABASE_URLS?.split('|').length ?? databaseUrls.length;
  const databases = databaseUrls === 'embedded' ? embeddedDatabases : listed;
  const writeAcks = countAcks(given.WRITE_ACKS ?? '1', databases);
  if (writeAcks > databases && databases > 0) {
    problems.push(`WRITE_ACKS: expected at most ${databases}, the number of databases, not ${writeAcks}`);
  }
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  const { data } = parsed;
  return Object.freeze({
    databaseUrls,
    sslMode: data.PGSSLMODE,
    port: data.PORT,
    isPortGiven: given.PORT !== undefined,
    host: data.HOST ?? (given.PORT === undefined ? '127.0.0.1' : '::'),
    writeAcks,
    writeTimeoutMs: data.WRITE_TIMEOUT_MS,
    readTimeoutMs: data.READ_TIMEOUT_MS,
    retentionSeconds: data.RETENTION,
    ageMaxSeconds: data.AGE_MAX,
    packAfterSeconds: data.PACK_AFTER,
    bodyBytesMax: data.BODY_BYTES_MAX,
    poolSizeMax: data.POOL_SIZE_MAX,
    webConcurrency: data.WEB_CONCURRENCY,
    logLevel: data.LOG_LEVEL,
    connectionsMax: data.CONNECTIONS_MAX,
    tokens: [
      ...data.TOKENS,
      ...scopes.flatMap((scope) => {
        const value = data[`${scope.toUpperCase() as Uppercase<Scope>}_TOKEN`];
        return value === undefined ? [] : [{ scope, secret: value }];
      }),
    ],
    isOpen: data.OPEN === '1',
    corsOrigins: data.CORS_ORIGINS,
  });
}

/** The length of a token. No value that is right in any other variable but an origin is as long. */
const secretLengthMin = 16;

/** A URL or a token in the wrong variable is a secret all the same, and a token that is too short is one to somebody. */
function quote(name: string, text = ''): string {
  if (name.includes('TOKEN') || text.includes('@')) return 'what it is';
  if (name === 'CORS_ORIGINS') return JSON.stringify(text);
  if (text.includes('://')) return 'a URL';
  return text.length < secretLengthMin ? JSON.stringify(text) : 'what it is';
}

/** NaN for what is no number, which the schema refuses. */
function countAcks(text: string, databases: number): number {
  if (text === 'all') return databases;
  return text === 'majority' ? Math.floor(databases / 2) + 1 : Number(text);
}

function readDatabaseUrls(environment: Environment, problems: string[]): readonly URL[] | 'embedded' {
  const named = environment.DATABASE_URLS;
  if (named === undefined && environment.DYNO === undefined) return 'embedded';
  const urls = named === undefined ? readHerokuUrls(environment, problems) : readList(named, problems);
  if (urls.length === 0 && problems.length === 0) {
    problems.push('DATABASE_URLS: no database is attached; expected postgres://…|postgres://…');
  }
  return urls;
}

function readList(list: string, problems: string[]): readonly URL[] {
  const nameOf = new Map<string, string>();
  return list.split('|').flatMap((text, index) => {
    const name = `db${index + 1}`;
    const url = parseDatabaseUrl(text.trim());
    if (!url) {
      problems.push(
        `DATABASE_URLS: ${name} is not a URL of a database; expected postgres://user:password@host:5432/database, ` +
          'special characters of the password percent-encoded, databases separated by |',
      );
      return [];
    }
    const sslMode = url.searchParams.get('sslmode');
    if (sslMode !== null && !isSslMode(sslMode)) problems.push(`DATABASE_URLS: ${name} has an unknown sslmode`);
    problems.push(...findUrlProblems(url).map((problem) => `DATABASE_URLS: ${name} ${problem}`));
    const twin = nameOf.get(databaseKey(url));
    if (twin) problems.push(`DATABASE_URLS: ${twin} and ${name} are the same database; give each one once`);
    nameOf.set(databaseKey(url), name);
    return [url];
  });
}

/** Heroku attaches databases as config vars; the primary one under two names, and pooled ways in beside it. */
function readHerokuUrls(environment: Environment, problems: string[]): readonly URL[] {
  const names = Object.keys(environment)
    .filter((name) => /_URL$/.test(name) && !/_POOL(ER)?_URL$/.test(name))
    .toSorted((a, b) => Number(b === 'DATABASE_URL') - Number(a === 'DATABASE_URL') || (a < b ? -1 : 1));
  const urls = names.flatMap((name) => {
    const url = parseDatabaseUrl(environment[name] ?? '');
    if (url) problems.push(...findUrlProblems(url).map((problem) => `${name}: its database ${problem}`));
    return url ?? [];
  });
  return [...new Map(urls.toReversed().map((url) => [databaseKey(url), url])).values()].toReversed();
}

function parseDatabaseUrl(text: string): URL | undefined {
  if (!/^postgres(ql)?:\/\//.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (![url.username, url.password, url.pathname].every(isPercentEncoded)) return undefined;
  return url.hostname !== '' || url.searchParams.has('host') ? url : undefined;
}

/** A bare % in a password is a URL to the standard, and an error to the driver at every connection. */
function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function databaseKey(url: URL): string {
  const host = url.searchParams.get('host') ?? url.hostname.toLowerCase();
  return [host, url.searchParams.get('port') || url.port || '5432', url.pathname.slice(1) || url.username].join(' ');
}
