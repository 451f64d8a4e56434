/**
 * The settings of a session that m2pg depends on. PostgreSQL lets every role, database and URL have defaults of its own, and a
 * pooler may drop what a client asks for at its start: so each session sets these itself, and reads them back.
 *
 * What is not here is left to the operator: settings that change the speed of a statement, what the server logs, where tables
 * lie and how they are stored, `default_transaction_read_only` (a database that is to be read only) and `role`.
 */

/** A server whose client has vanished keeps the session, and its place among the connections, for hours; so, two minutes. */
const keepAlive = { tcp_keepalives_idle: '60', tcp_keepalives_interval: '20', tcp_keepalives_count: '3' };

/** Defaults of m2pg, which the `options` of a URL may change. */
export const defaultSettings: Readonly<Record<string, string>> = keepAlive;

/**
 * What changes the values that are written or read, or breaks a statement of ours: set in every session, whatever the URL says.
 * Each value is spelled as the server shows it.
 */
export const pinnedSettings: Readonly<Record<string, string>> = {
  // What ends a statement or a session is one of our own limits. First, so that the rest is set in time.
  transaction_timeout: '0',
  lock_timeout: '0',
  idle_session_timeout: '0',
  // An acknowledged commit is on disk.
  synchronous_commit: 'on',
  // How values become text and text becomes values. Without extra_float_digits, numbers are rounded to 15 digits.
  extra_float_digits: '1',
  bytea_output: 'hex',
  client_encoding: 'UTF8',
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  timezone_abbreviations: 'Default',
  lc_time: 'C',
  lc_numeric: 'C',
  lc_monetary: 'C',
  xmlbinary: 'base64',
  xmloption: 'content',
  // What a statement means.
  standard_conforming_strings: 'on',
  backslash_quote: 'safe_encoding',
  transform_null_equals: 'off',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  // A row that a policy hides is an error, not a summary less.
  row_security: 'off',
  // An index on names gives all that match.
  gin_fuzzy_search_limit: '0',
  restrict_nonsystem_relation_kind: '',
  'plpgsql.extra_errors': 'none',
  'plpgsql.extra_warnings': 'none',
  'plpgsql.check_asserts': 'on',
  // An error ends a statement, not the session.
  exit_on_error: 'off',
  // Notices are sent to us for nothing.
  client_min_messages: 'warning',
};

/**
 * What only a superuser can set, and has set for this role or database: with another value data are lost or hidden without an
 * error. We set them where we may, and refuse the database where not.
 */
export const guardedSettings: Readonly<Record<string, string>> = {
  // With another one no trigger notes what has changed: digests and roll-ups would be wrong.
  session_replication_role: 'origin',
  // Damaged pages would be read as empty ones.
  zero_damaged_pages: 'off',
  ignore_checksum_failure: 'off',
};
