/**
 * What a connection is before it is used: a session with the settings that m2pg depends on (`session-settings.ts`), whatever the
 * defaults of its role and database are.
 *
 * 1. Set them by a statement. Asked for at the start of the connection, PgBouncer refuses most of them, or ignores them
 *    unseen if it is told to.
 * 2. Read them back: in the same statement and, where somebody else than the server answered our login, in another one too. A
 *    pooler that gives each transaction another session has other values there.
 * 3. Mark the session. Whoever finds another mark, or another process of the server, is in a session that is not its own.
 */
import { randomUUID } from 'node:crypto';
import { type Client, type ClientBase, DatabaseError, escapeIdentifier, escapeLiteral, type QueryConfig } from 'pg';
import { Failure } from '../domain/failure.ts';
import type { ConnectionTimeouts } from './connection-options.ts';
import { sharedSession } from './network-errors.ts';
import { defaultSettings, guardedSettings, pinnedSettings } from './session-settings.ts';
import { readUrlParameters } from './url-parameters.ts';

export interface SessionOptions {
  readonly url: URL;
  readonly timeouts: ConnectionTimeouts;
  /** Beyond those of every session, unless the URL's `options` name others. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where the tables are; undefined: in the first schema of the search_path that there is. */
  readonly schema?: string | undefined;
}

/** The session of one connection, as it was when it began. */
export interface Session {
  /** Of the process of the server. */
  readonly pid: number;
  /** No other session has it. */
  readonly mark: string;
  /** Somebody else than the server answered our login: a pooler. */
  readonly isPooled: boolean;
  /** Where the tables are, the one schema of its search_path; undefined: there is none that this role may use. */
  readonly schema: string | undefined;
}

/** What identifies a session: an expression for each column of `SessionIdentity`. */
export const identityColumns =
  "pg_catalog.pg_backend_pid() as pid, pg_catalog.current_setting('m2pg.session', true) as mark";

/** A row of `identityColumns`. */
export interface SessionIdentity {
  readonly pid: number;
  readonly mark: string | null;
}

/** Settings as the server shows them. */
type Values = Map<string, string | null>;

/**
 * Begins the session of a connection that has just been made.
 *
 * @throws Failure `unsupported_database` when it does not keep what it is told; else what the driver raises.
 */
export async function beginSession(client: Client, options: SessionOptions): Promise<Session> {
  const { url, timeouts, schema } = options;
  const ask = askWithin(client, timeouts.connectTimeoutMs);
  const { settings: ofUrl } = readUrlParameters(url);
  const mark = randomUUID();
  const { own, wished } = splitSettings(options.settings ?? {});
  const asked = { ...defaultSettings, ...wished, ...ofUrl, 'm2pg.session': mark, ...limitsOf(timeouts) };
  const checked = { ...pinnedSettings, ...own };
  const pinned = schema === undefined ? checked : { ...checked, search_path: escapeIdentifier(schema) };
  const [values, { pid, path }] = await ask(settingStatement(asked, pinned, timeouts)).then(read, (error) => {
    const isOfUrl =
      error instanceof DatabaseError && Object.keys(ofUrl).length > 0 && /^(22|42|55)/.test(error.code ?? '');
    throw isOfUrl
      ? new Failure('unsupported_database', 'does not take the options of its URL', { cause: error })
      : error;
  });
  checkValues(values, checked);
  checkGuarded(values, client);
  const home = schema ?? path.find((name) => !/^(pg_|information_schema$)/.test(name));
  if (schema === undefined && home !== undefined) await setPath(ask, home, values);
  const session = { pid, mark, isPooled: pid !== processOf(client), schema: home };
  if (session.isPooled) await checkAgain(ask, session, values);
  return session;
}

/** @throws Failure `unsupported_database` when a connection has another session than the one that it began with. */
export function checkSession(session: Session, { pid, mark }: SessionIdentity): void {
  if (pid !== session.pid || mark !== session.mark) throw new Failure(...refusalOfSharing);
}

const refusalOfSharing = [sharedSession[0], sharedSession[1] ?? ''] as const;

/** Of the server's clock. A transaction that was left open would hold back vacuum; ours end within one statement's time. */
function limitsOf({ statementTimeoutMs }: ConnectionTimeouts): Readonly<Record<string, string>> {
  return { statement_timeout: `${statementTimeoutMs}`, idle_in_transaction_session_timeout: `${statementTimeoutMs}` };
}

/**
 * One message, so one round trip. In an isolation that a standby allows whatever the role's default is, and with the time of a
 * statement of ours from its second statement on. Functions are named in full: the search_path is anybody's still.
 */
function settingStatement(
  asked: Readonly<Record<string, string>>,
  pinned: Readonly<Record<string, string>>,
  { statementTimeoutMs }: ConnectionTimeouts,
): string {
  const set = 'pg_catalog.set_config(name, value, false)';
  const now = 'pg_catalog.current_setting(name, true)';
  return [
    'begin isolation level read committed',
    `set statement_timeout = ${statementTimeoutMs}`,
    // A version of the server that does not know a setting needs none.
    `select name, ${set} as value from (values ${rowsOf(pinned)}) as given (name, value) where ${now} is not null`,
    `select name, ${set} as value from (values ${rowsOf(asked)}) as given (name, value)`,
    `select name, case when pg_catalog.current_setting('is_superuser') = 'on' then ${set} else ${now} end as value
     from (values ${rowsOf(guardedSettings)}) as given (name, value) where ${now} is not null`,
    'select pg_catalog.pg_backend_pid() as pid, pg_catalog.current_schemas(false)::text[] as path',
    'commit',
  ].join(';');
}

function rowsOf(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `(${escapeLiteral(name)}, ${escapeLiteral(value)})`)
    .join(', ');
}

interface Answer {
  readonly rows: readonly Record<string, unknown>[];
}

/** Runs statements in one message; our own clock bounds each message. */
type Ask = (text: string) => Promise<readonly Answer[]>;

function askWithin(client: ClientBase, timeoutMs: number): Ask {
  return async (text) => {
    const question: QueryConfig & { query_timeout: number } = { text, query_timeout: timeoutMs };
    return [await client.query(question)].flat();
  };
}

function read(answers: readonly Answer[]): [Values, { pid: number; path: readonly string[] }] {
  const rows = answers.flatMap((answer) => answer.rows);
  const place = rows.find((row) => 'pid' in row) as { pid: number; path: readonly string[] } | undefined;
  if (place === undefined) throw new Error('BUG: a select without from gave no row');
  const settings = rows.filter((row) => 'name' in row) as { name: string; value: string | null }[];
  return [new Map(settings.map(({ name, value }) => [name, value])), place];
}

/** Apart, those of a purpose that every session has pinned to some value, and those that a URL may change. */
function splitSettings(settings: Readonly<Record<string, string>>) {
  const isPinned = ([name]: [string, string]) => Object.hasOwn(pinnedSettings, name);
  const all = Object.entries(settings);
  return {
    own: Object.fromEntries(all.filter(isPinned)),
    wished: Object.fromEntries(all.filter((setting) => !isPinned(setting))),
  };
}

async function setPath(ask: Ask, schema: string, values: Values): Promise<void> {
  const path = escapeLiteral(escapeIdentifier(schema));
  const [answer] = await ask(`select pg_catalog.set_config('search_path', ${path}, false) as path`);
  values.set('search_path', String(answer?.rows[0]?.path));
}

function checkValues(values: Values, pinned: Readonly<Record<string, string>>): void {
  for (const [name, wanted] of Object.entries(pinned)) {
    const value = values.get(name) ?? wanted;
    if (value !== wanted) {
      throw new Failure('unsupported_database', `does not keep ${name} = ${wanted} in a session; it is ${value}`);
    }
  }
}

function checkGuarded(values: Values, { user = '', database = '' }: Client): void {
  for (const [name, wanted] of Object.entries(guardedSettings)) {
    const value = values.get(name) ?? wanted;
    if (value === wanted) continue;
    const [role, place] = [escapeIdentifier(user), escapeIdentifier(database)];
    throw new Failure(
      'unsupported_database',
      `has ${name} = ${value} for this user, with which data are lost without an error: as a superuser, run ALTER ROLE ${role} ` +
        `RESET ${name}, or ALTER DATABASE ${place} RESET ${name}, wherever it is set`,
    );
  }
}

/** In another transaction. */
async function checkAgain(ask: Ask, session: Session, before: Values): Promise<void> {
  const names = [...before.keys()].map((name) => `(${escapeLiteral(name)})`).join(', ');
  const answers = await ask(`
    select name, pg_catalog.current_setting(name, true) as value from (values ${names}) as given (name);
    select ${identityColumns}`);
  const rows = answers.flatMap((answer) => answer.rows);
  const identity = rows.find((row) => 'pid' in row) as unknown as SessionIdentity;
  checkSession(session, identity);
  const lost = rows.find((row) => 'name' in row && before.get(String(row.name)) !== row.value);
  // Of three statements the first and the last may have met the same session, and the second another one.
  if (lost) throw new Failure(...refusalOfSharing);
}

/** As the login told it. */
function processOf(client: Client): number | null {
  return (client as Client & { readonly processID: number | null }).processID;
}
