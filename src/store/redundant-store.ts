/**
 * Several databases as one store: what m2pg is.
 *
 * Writing:
 * 1. Hand the summaries to every database at once.
 * 2. Answer at the `acks`th commit. The others go on by themselves; `drain` waits for them.
 * 3. Fail as soon as so many have failed that `acks` commits cannot be reached, or when the time is up.
 *
 * Reading:
 * 1. Ask every database at once and wait for all, each up to the time limit: leaving once "enough" have answered would
 *    miss summaries that only a slower one holds.
 * 2. Count every id once, whichever databases hold it. Merged groups are compared by digest; only where databases
 *    differ are their summaries read one by one (`reconcile-groups.ts`).
 * 3. Say who answered. Each acknowledged summary is in `acks` of N databases, so N − acks + 1 answers cannot all have
 *    missed it: with that many the result is complete. Of several services with different numbers, the least counts
 *    (`agreed-acks.ts`).
 *
 * Refused alternative: one primary with the others following it, which would need elections, and a majority to write.
 * Summaries never change and their ids are unique, so a union of sets is all the agreement that is needed.
 */

import { withTimeout } from '../database/with-timeout.ts';
import { Failure, type Problem, toFailure } from '../domain/failure.ts';
import type { Store } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';
import type { NamedStore, RedundantReadsOptions } from './ask.ts';
import { firstFulfilled } from './first-fulfilled.ts';
import { createRedundantReads } from './redundant-reads.ts';

export interface RedundantStoreOptions extends RedundantReadsOptions {
  /** How many databases must have committed before a write is answered; between 1 and their number. */
  readonly acks: number;
  readonly writeTimeoutMs: number;
}

/** Creates the store of several databases, which fails only when too few of them do what a call needs. */
export function createRedundantStore(options: RedundantStoreOptions): Store {
  const { databases, agreed, writeTimeoutMs, observe } = options;

  const writeTo = async ({ name, store }: NamedStore, summaries: readonly Summary[]) => {
    const begun = performance.now();
    try {
      await store.write(summaries);
      const durationMs = performance.now() - begun;
      observe({ type: 'write_committed', database: name, summaries: summaries.length, durationMs });
    } catch (error) {
      observe({ type: 'write_failed', database: name, summaries: summaries.length, failure: toFailure(error) });
      throw error;
    }
  };

  return {
    ...createRedundantReads(options),

    async write(summaries) {
      if (summaries.length === 0) return { copies: databases.length, databases: databases.length };
      const acks = agreed?.forWrites() ?? options.acks;
      let copies = 0;
      const writes = databases.map((database) =>
        writeTo(database, summaries).then(() => {
          copies += 1;
        }),
      );
      try {
        await withTimeout(firstFulfilled(writes, acks), writeTimeoutMs);
      } catch (cause) {
        const refused = refusedBy(cause);
        if (refused.length > databases.length - acks) throw refusedByAll(refused);
        const reason = acks > options.acks ? ', since services with a higher WRITE_ACKS may not know of ours yet' : '';
        const message = `${copies} of ${databases.length} databases have committed, ${acks} needed${reason}`;
        throw new Failure('too_few_copies', message, { cause });
      }
      const settled = Promise.allSettled(writes).then(() => copies);
      return { copies, databases: databases.length, ...(copies < databases.length && { settled }) };
    },

    async drain() {
      await Promise.all(databases.map(({ store }) => store.drain()));
    },
  };
}

/** Of the failures of a write, those that name summaries which the database refuses: it would not take them at another time. */
function refusedBy(cause: unknown): Failure[] {
  const failures = cause instanceof AggregateError ? cause.errors.map(toFailure) : [];
  return failures.filter(({ code, problems }) => code === 'data_refused' && problems.length > 0);
}

function refusedByAll(refused: readonly Failure[]): Failure {
  const problems = refused.flatMap((failure) => failure.problems);
  const message = 'the databases refuse some of the summaries; the others may be stored';
  return new Failure('summaries_refused', message, { cause: refused, problems: uniqueByPath(problems) });
}

function uniqueByPath(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [problem.path, problem])).values()];
}
