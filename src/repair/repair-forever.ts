import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import type { DeletionMemory } from '../database/deletion-memory.ts';
import { toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import { createCopy } from './copy.ts';
import { createEquality } from './equality.ts';
import { createLease } from './lease.ts';
import { createRepair } from './repair-pass.ts';

/** A look with nothing to do is a query a database: often, so that copies are equal again within seconds. */
const lookEveryMs = 3_000;

export interface RepairForeverOptions {
  readonly databases: readonly Database[];
  /** What this process has seen of deletions; its own when left out. */
  readonly memory?: DeletionMemory;
  /** Undefined: kept for ever. */
  readonly retentionSeconds: number | undefined;
  /** Unix seconds. */
  readonly now: () => number;
  readonly observe: Observe;
}

/** Keeps the databases equal until the signal. Several processes may: one is elected, and another when it is gone. */
export async function repairForever(options: RepairForeverOptions, signal: AbortSignal): Promise<void> {
  const { databases, observe } = options;
  const copies = databases.map((database) => createCopy({ database, observe }));
  const lease = createLease(() => copies.filter((copy) => copy.isWritable()));
  const repair = createRepair({ ...options, copies, equality: createEquality({ copies, observe }), signal });
  while (!signal.aborted) {
    try {
      if (await lease.take()) await repair.pass(lease.take);
    } catch (error) {
      observe({ type: 'repair_failed', failure: toFailure(error) });
    }
    await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
  }
  await lease.release().catch(() => undefined);
}
