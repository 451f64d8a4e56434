/** What a role lacks, and the statement by which an operator gives it: PostgreSQL says only that permission is denied. */
import { type Client, escapeIdentifier as quote } from 'pg';
import { Failure } from '../domain/failure.ts';
import type { Run } from './deletions.ts';

interface Grants {
  readonly role: string;
  readonly database: string;
  readonly may_create: boolean;
  readonly may_make_temporary: boolean;
  /** Whose the tables are, where this role is not a member of theirs. */
  readonly owners: readonly string[];
  readonly unreadable: readonly string[];
  readonly unwritable: readonly string[];
  /** Tables with policies that would hide rows from this role. */
  readonly hidden: readonly string[];
}

/** An operator may keep other tables in the schema. One that is not listed here is found by the statement that needs it. */
const tables = `
  series summaries database_identity m2pg_migrations rollup_state hourly_rollups daily_rollups dirty_hours packed_summaries
  packed_chunks packing summary_weeks digests repair_lease deletions quarantine
  packed_arrivals`.match(/\S+/g);

/** The tables and the partitions of summaries, as `$2` names them. */
const grantsStatement = `
  with ours as (
    select oid, relname, relowner from pg_class
    where relnamespace = (select oid from pg_namespace where nspname = $1) and relkind in ('r', 'p', 'v')
      and (relname = any ($2) or oid in (select inhrelid from pg_inherits where inhparent = to_regclass('summaries'))))
  select current_user::text as role, current_database()::text as database,
    has_schema_privilege($1, 'create') as may_create,
    has_database_privilege(current_database(), 'temporary') as may_make_temporary,
    array(select distinct pg_get_userbyid(relowner)::text from ours where not pg_has_role(relowner, 'usage')) as owners,
    array(select relname::text from ours where not has_table_privilege(oid, 'select') order by 1) as unreadable,
    array(select relname::text from ours where not (has_table_privilege(oid, 'insert')
      and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete')) order by 1) as unwritable,
    array(select relname::text from ours where row_security_active(oid) order by 1) as hidden`;

/** The schemas that the search_path names, and whether they exist. The path may name what does not. */
const pathStatement = `
  select current_user::text as role, current_database()::text as database, current_setting('search_path') as path,
    array(
      select nspname::text from unnest(string_to_array(current_setting('search_path'), ',')) as named (schema)
      join pg_namespace on nspname = replace(trim(both ' "' from schema), '$user', current_user)
      where nspname !~ '^pg_') as existing`;

/**
 * Refuses a database whose tables this role may not use, or may not make.
 *
 * @param schema Where they are; undefined: none of the search_path may be used.
 * @throws Failure `permission_denied` or `database_missing`, with the statement to be run.
 */
export async function refuseDenied(
  run: Run,
  schema: string | undefined,
  { isReadOnly }: { isReadOnly: boolean },
): Promise<void> {
  if (schema === undefined) throw await explainPath(run);
  const grants = await readGrants(run, schema);
  const denial = (isReadOnly ? undefined : denialOfWrites(grants, schema)) ?? denialOfReads(grants, schema);
  if (denial !== undefined) throw denied(grants, denial);
}

/** What a statement lacked that was refused; the Failure as it is when nothing is found. */
export async function explainDenial(run: Run, schema: string | undefined, failure: Failure): Promise<Failure> {
  if (failure.code !== 'permission_denied' || schema === undefined) return failure;
  const grants = await readGrants(run, schema).catch(() => undefined);
  const denial =
    grants && (denialOfWrites(grants, schema) ?? denialOfReads(grants, schema) ?? denialOfTemporary(grants));
  return grants && denial !== undefined ? denied(grants, denial, failure.cause) : failure;
}

/** Refusals of a login that PostgreSQL gives a reason for; others as they are. */
export function explainLogin({ user = '', database = '' }: Client, failure: Failure): Failure {
  const [role, name] = [quote(user), quote(database)];
  // A pooler has said it in its own words.
  if (
    failure.code === 'database_missing' &&
    !(failure.cause instanceof Error && /no such database/.test(failure.cause.message))
  ) {
    const message = `is not there: its server has no database ${name}; run CREATE DATABASE ${name} OWNER ${role}`;
    return new Failure(failure.code, message, { cause: failure.cause });
  }
  if (failure.code === 'permission_denied') {
    const message = `does not let role ${role} in; as its owner, run GRANT CONNECT ON DATABASE ${name} TO ${role}`;
    return new Failure(failure.code, message, { cause: failure.cause });
  }
  return failure;
}

async function readGrants(run: Run, schema: string): Promise<Grants> {
  const { rows } = await run(grantsStatement, [schema, tables]);
  return rows[0] as unknown as Grants;
}

/** What is wrong, and who must run which statement. */
interface Denial {
  readonly complaint?: string;
  readonly as: string;
  readonly statement: string;
}

const ownerOfTables = 'the owner of its tables';

function denialOfWrites({ role, may_create, owners, unwritable }: Grants, schema: string): Denial | undefined {
  const [owner] = owners;
  if (!may_create) return denialOfSchema(role, schema);
  // Only who owns a table can give it another partition.
  if (owner !== undefined) {
    return { as: `a superuser or role ${quote(owner)}`, statement: `GRANT ${quote(owner)} TO ${quote(role)}` };
  }
  if (unwritable.length === 0) return undefined;
  return { as: ownerOfTables, statement: `GRANT ALL ON ALL TABLES IN SCHEMA ${quote(schema)} TO ${quote(role)}` };
}

function denialOfSchema(role: string, schema: string): Denial {
  const statement = `GRANT USAGE, CREATE ON SCHEMA ${quote(schema)} TO ${quote(role)}`;
  return { as: `the owner of schema ${quote(schema)}`, statement };
}

function denialOfReads({ role, unreadable, hidden }: Grants, schema: string): Denial | undefined {
  const [table] = hidden;
  if (unreadable.length > 0) {
    return { as: ownerOfTables, statement: `GRANT SELECT ON ALL TABLES IN SCHEMA ${quote(schema)} TO ${quote(role)}` };
  }
  if (table === undefined) return undefined;
  return {
    complaint: 'hides summaries from this user by row-level security',
    as: ownerOfTables,
    statement: `ALTER TABLE ${quote(schema)}.${quote(table)} DISABLE ROW LEVEL SECURITY`,
  };
}

function denialOfTemporary({ role, database, may_make_temporary }: Grants): Denial | undefined {
  if (may_make_temporary) return undefined;
  return { as: 'its owner', statement: `GRANT TEMPORARY ON DATABASE ${quote(database)} TO ${quote(role)}` };
}

function denied({ database }: { database: string }, { complaint, as, statement }: Denial, cause?: unknown): Failure {
  const message = `${complaint ?? 'lacks a privilege for this user'}: in database ${quote(database)}, as ${as}, run ${statement}`;
  return new Failure('permission_denied', message, { cause });
}

async function explainPath(run: Run): Promise<Failure> {
  const { rows } = await run(pathStatement);
  const { role, database, path, existing } = rows[0] as {
    role: string;
    database: string;
    path: string;
    existing: string[];
  };
  const [schema] = existing;
  if (schema !== undefined) {
    return denied({ database }, denialOfSchema(role, schema));
  }
  const make = `CREATE SCHEMA "public" AUTHORIZATION ${quote(role)}`;
  return new Failure(
    'database_missing',
    `has no schema for the tables, for none of its search_path (${path || 'which is empty'}) exists: in database ` +
      `${quote(database)}, run ${make}, or ALTER ROLE ${quote(role)} SET search_path = one that exists`,
  );
}
