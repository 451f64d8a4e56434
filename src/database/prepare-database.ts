import type { Observe } from '../domain/observation.ts';
import { connect } from './connect.ts';
import type { ConnectionTimeouts } from './connection-options.ts';
import type { Run } from './deletions.ts';
import { migrate, refuseNewer } from './migrate.ts';
import { explainDenial, refuseDenied } from './permissions.ts';
import { databaseFailure } from './sqlstate.ts';
import type { Inspection } from './watched-connection.ts';

/** A migration may build an index over a large table; a process that waits for another's waits as long. */
const migrationTimeoutMs = 10 * 60_000;

export interface PrepareOptions {
  readonly name: string;
  readonly url: URL;
  readonly connectTimeoutMs: number;
  /** Takes note of the identity that a database carries. Throws a Failure when another one has it. */
  readonly claimIdentity: (name: string, identity: string) => void;
  /** What else is to be done with a database before it is used, as long as it takes writes. */
  readonly beforeUse?: ((run: Run) => Promise<void>) | undefined;
  readonly observe: Observe;
}

/**
 * Makes a database that has just been connected to fit for use: brings its schema up to date and learns who it is.
 *
 * @param signal Breaks it off.
 * @throws Failure when it must not be used; else what the driver raises.
 */
export async function prepareDatabase(
  options: PrepareOptions,
  { readOnly, attempt, schema }: Inspection,
  signal: AbortSignal,
): Promise<void> {
  const { name, url, connectTimeoutMs, claimIdentity, beforeUse, observe } = options;
  const timeouts: ConnectionTimeouts = {
    connectTimeoutMs,
    statementTimeoutMs: migrationTimeoutMs,
    queryTimeoutMs: migrationTimeoutMs + connectTimeoutMs,
  };
  const { client, end, destroy } = await connect([attempt], { url, timeouts, schema });
  signal.addEventListener('abort', destroy);
  const run: Run = (text, values = []) => client.query(text, values);
  try {
    await refuseDenied(run, schema, { isReadOnly: readOnly });
    const migrations = readOnly ? await refuseNewer(client) : await migrate(client);
    if (migrations.length > 0) observe({ type: 'migrated', database: name, migrations });
    const { rows } = await client.query<{ id: string }>('select id from database_identity');
    if (rows[0]) claimIdentity(name, rows[0].id);
    if (!readOnly) await beforeUse?.(run);
  } catch (error) {
    throw await explainDenial(run, schema, databaseFailure(error));
  } finally {
    end();
  }
}
