import type { DatabaseStatus } from './database/health.ts';
import type { Observe } from './domain/observation.ts';
import type { Status } from './http/operation-routes.ts';

export interface StatusBoardOptions {
  readonly version: string;
  readonly writeAcks: number;
  readonly databases: () => readonly DatabaseStatus[];
}

/** What `/-/status` and `/-/ready` answer from. */
export interface StatusBoard {
  readonly observe: Observe;
  isReady(): boolean;
  status(): Status;
}

/** Counts the writes of each database since start, and knows whether the service is to get requests. */
export function createStatusBoard({ version, writeAcks, databases }: StatusBoardOptions): StatusBoard {
  const writes = new Map<string, { ok: number; failed: number }>();
  let isStopping = false;

  const writesOf = (database: string) => {
    const counts = writes.get(database) ?? { ok: 0, failed: 0 };
    writes.set(database, counts);
    return counts;
  };
  const isReady = () => !isStopping && databases().filter(({ state }) => state === 'up').length >= writeAcks;

  return {
    observe(observation) {
      if (observation.type === 'write_committed') writesOf(observation.database).ok += 1;
      if (observation.type === 'write_failed') writesOf(observation.database).failed += 1;
      if (observation.type === 'stopping') isStopping = true;
    },
    isReady,
    status: () => ({
      version,
      ready: isReady(),
      writeAcks,
      uptimeSeconds: Math.floor(process.uptime()),
      databases: databases().map((database) => ({ ...database, writes: { ...writesOf(database.name) } })),
    }),
  };
}
