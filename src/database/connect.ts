import { Client } from 'pg';
import { connectionOptions } from './connection-options.ts';
import { explainLogin } from './permissions.ts';
import { beginSession, type Session, type SessionOptions } from './session.ts';
import { createSockets } from './sockets.ts';
import { databaseFailure } from './sqlstate.ts';
import type { TlsAttempt } from './tls.ts';

/** A server that is there takes note of a goodbye at once. */
const goodbyeMs = 1_000;

/** One connection to a database, outside of all pools. */
export interface Connection {
  readonly client: Client;
  readonly session: Session;
  /** The way that its sslmode allows and that worked. */
  readonly attempt: TlsAttempt;
  /** Says goodbye, and cuts the connection off when that is not heard. Waits for neither. */
  end(): void;
  /** Cuts the connection off; what is asked on it rejects. */
  destroy(): void;
}

/**
 * Connects by the first way that works, and begins a session. Rejects with what the last one raised.
 *
 * @param onError Is told of an error of the connection while nothing is asked on it.
 */
export async function connect(
  attempts: readonly TlsAttempt[],
  options: SessionOptions,
  onError: (client: Client, cause: Error) => void = () => undefined,
): Promise<Connection> {
  let reason: unknown;
  for (const attempt of attempts) {
    const { stream, destroy } = createSockets();
    const client = new Client(connectionOptions(options.url, attempt, options.timeouts, stream));
    // Without a listener, the end of an idle connection would end the process.
    client.on('error', (cause) => onError(client, cause));
    const end = () => {
      // Not waited for: a frozen server never answers the goodbye. pg destroys the socket of a query in progress.
      client.end().catch(() => undefined);
      setTimeout(destroy, goodbyeMs).unref();
    };
    try {
      await client.connect().catch((error) => {
        throw explainLogin(client, databaseFailure(error));
      });
      const session = await beginSession(client, options);
      return { client, session, attempt, end, destroy };
    } catch (error) {
      destroy();
      reason = error;
      // Only a refusal of this way of connecting is a reason to try the other.
      if (!['tls', 'authentication'].includes(databaseFailure(error).code)) break;
    }
  }
  throw reason;
}
