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
 * 2. Count every id once, whichever databases hold it.
 * 3. Say who answered. Each acknowledged summary is in `acks` of N databases, so N − acks + 1 answers cannot all have
 *    missed it: with that many the result is complete.
 *
 * Refused alternative: one primary with the others following it, which would need elections, and a majority to write.
 * Summaries never change and their ids are unique, so a union of sets is all the agreement that is needed.
 */
import { Failure, toFailure } from '../domain/failure.ts';
import type { Observe } from '../domain/observation.ts';
import type { DatabaseOutcome, Selection, Store, SummaryQuery } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';
import { firstFulfilled } from './first-fulfilled.ts';
import { withTimeout } from './with-timeout.ts';

export interface RedundantStoreOptions {
  readonly databases: readonly { readonly name: string; readonly store: Store }[];
  /** How many databases must have committed before a write is answered; between 1 and their number. */
  readonly acks: number;
  readonly writeTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly observe: Observe;
}

/** Creates the store of several databases, which fails only when too few of them do what a call needs. */
export function createRedundantStore(options: RedundantStoreOptions): Store {
  const { databases, acks, writeTimeoutMs, readTimeoutMs, observe } = options;

  const writeTo = async ({ name, store }: (typeof databases)[number], summaries: readonly Summary[]) => {
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

  const readFrom = async ({ name, store }: (typeof databases)[number], query: SummaryQuery) => {
    const begun = performance.now();
    try {
      const { summaries } = await withTimeout(store.read(query), readTimeoutMs);
      const durationMs = performance.now() - begun;
      observe({ type: 'read_done', database: name, summaries: summaries.length, durationMs });
      return summaries;
    } catch (error) {
      const failure = toFailure(error);
      if (!isAboutQuery(failure)) observe({ type: 'read_failed', database: name, failure });
      throw failure;
    }
  };

  return {
    async write(summaries) {
      if (summaries.length === 0) return { copies: databases.length, databases: databases.length };
      let copies = 0;
      const writes = databases.map((database) =>
        writeTo(database, summaries).then(() => {
          copies += 1;
        }),
      );
      try {
        await withTimeout(firstFulfilled(writes, acks), writeTimeoutMs);
      } catch (cause) {
        const message = `${copies} of ${databases.length} databases have committed, ${acks} needed`;
        throw new Failure('too_few_copies', message, { cause });
      }
      return { copies, databases: databases.length };
    },

    async read(query) {
      const answers = await Promise.allSettled(databases.map((database) => readFrom(database, query)));
      const outcomes = answers.map((answer, index): DatabaseOutcome => {
        const outcome = answer.status === 'fulfilled' ? 'ok' : toFailure(answer.reason).code;
        return { database: databases[index]?.name ?? 'BUG', outcome };
      });
      const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [toFailure(answer.reason)] : []));
      const aboutQuery = failures.find(isAboutQuery);
      if (aboutQuery) throw aboutQuery;
      return union(answers, outcomes, acks);
    },

    async drain() {
      await Promise.all(databases.map(({ store }) => store.drain()));
    },
  };
}

/** Failures that every database would repeat: the query is at fault. */
function isAboutQuery({ code }: Failure): boolean {
  return code === 'invalid_pattern' || code === 'read_too_large';
}

function union(
  answers: readonly PromiseSettledResult<readonly Summary[]>[],
  outcomes: readonly DatabaseOutcome[],
  acks: number,
): Selection {
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  if (found.length === 0) throw new Failure('no_database', 'no database answered', { cause: outcomes });
  const byId = new Map<string, Summary>();
  for (const summaries of found) for (const summary of summaries) byId.set(summary.id, summary);
  return { summaries: [...byId.values()], outcomes, complete: found.length >= answers.length - acks + 1 };
}
