import { Failure, toFailure } from '../domain/failure.ts';
import type { Summary } from '../domain/summary.ts';

export interface CommitOthersOptions {
  /** Commits all or nothing. Rejects with a Failure, `data_refused` when one of them is refused for what it is. */
  readonly commit: (summaries: readonly Summary[]) => Promise<void>;
  /** Is told of each that is refused. */
  readonly refuse: (summary: Summary, failure: Failure) => Promise<void>;
}

/**
 * Commits those of some summaries that are not refused, when together they were: in halves, until each refused one stands
 * alone.
 *
 * @param failure Why all of them together were refused.
 * @returns A Failure `data_refused` whose problems name the refused ones by their places.
 * @throws Failure of the database for any other reason.
 */
export async function commitOthers(
  summaries: readonly Summary[],
  failure: Failure,
  options: CommitOthersOptions,
): Promise<Failure> {
  const refused = await findRefused(summaries, failure, options);
  const problems = [...refused].map(([summary, { message }]) => ({
    path: String(summaries.indexOf(summary)),
    message,
  }));
  return new Failure('data_refused', `refused ${refused.size} of ${summaries.length} summaries`, {
    cause: failure,
    problems,
  });
}

async function findRefused(
  summaries: readonly Summary[],
  failure: Failure,
  options: CommitOthersOptions,
): Promise<Map<Summary, Failure>> {
  const [first, ...others] = summaries;
  if (first && others.length === 0) {
    await options.refuse(first, failure);
    return new Map([[first, failure]]);
  }
  const half = summaries.length >> 1;
  const refused = new Map<Summary, Failure>();
  for (const part of [summaries.slice(0, half), summaries.slice(half)]) {
    for (const [summary, reason] of await commitPart(part, options)) refused.set(summary, reason);
  }
  return refused;
}

async function commitPart(part: readonly Summary[], options: CommitOthersOptions): Promise<Map<Summary, Failure>> {
  try {
    await options.commit(part);
    return new Map();
  } catch (error) {
    const failure = toFailure(error);
    if (failure.code !== 'data_refused') throw failure;
    return findRefused(part, failure, options);
  }
}
