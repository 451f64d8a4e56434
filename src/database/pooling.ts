/**
 * Finds out whether a pooler gives each transaction another session. There is no way to ask it; so two connections watch each
 * other's sessions.
 *
 * - An idle pooler hands out the session that was used last: each of the two finds itself in the session that the other has
 *   just used and marked.
 * - One that hands out sessions in turn gives the same connection two in a row.
 * - A busy one gives whatever is free: a session that others have used in between.
 * - A session that is held by an open transaction cannot be given to the other.
 *
 * A pooler that passes all of that by chance is found out by the next looks, each of which checks its session, too.
 */
import { Failure } from '../domain/failure.ts';
import type { Connection } from './connect.ts';
import { checkSession, identityColumns, type SessionIdentity } from './session.ts';
import { databaseFailure } from './sqlstate.ts';

/** Each of five looks: with half of the sessions in use by others, one that is shared is overlooked once in 30,000 times. */
const rounds = 3;

/**
 * @param watched A connection through a pooler.
 * @param open Makes another one.
 * @throws Failure `unsupported_database` when they share sessions, `too_many_connections` when the pooler has only one; else
 *   what the driver raises.
 */
export async function refuseSharedSessions(watched: Connection, open: () => Promise<Connection>): Promise<void> {
  const other = await open().catch((error) => {
    throw explainWait(databaseFailure(error));
  });
  try {
    for (let round = 0; round < rounds; round += 1) {
      await look(watched);
      await look(watched);
      await look(other);
      await other.client.query('begin');
      await look(other);
      await look(watched);
      await other.client.query('commit');
    }
  } finally {
    other.end();
  }
}

async function look({ client, session }: Connection): Promise<void> {
  const { rows } = await client.query<SessionIdentity>(`select ${identityColumns}`);
  const [row] = rows;
  if (row === undefined) throw new Error('BUG: a select without from gave no row');
  checkSession(session, row);
}

function explainWait(failure: Failure): Failure {
  if (failure.code !== 'timeout') return failure;
  const message = 'is behind a pooler that gave no second connection in time; its pool_size must be larger';
  return new Failure('too_many_connections', message, { cause: failure.cause });
}
