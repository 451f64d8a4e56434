/**
 * The reading half of the redundant store: ask every database at once, wait for all, and make one answer of theirs.
 */
import type { Selection, Store } from '../domain/store.ts';
import { ask, completenessOf, type RedundantReadsOptions } from './ask.ts';
import { redundantAggregate } from './redundant-aggregate.ts';
import { unionById } from './union-by-id.ts';
import { unionNames } from './union-names.ts';
import { unionUnits } from './union-units.ts';

/** What of a store reads. */
export type RedundantReads = Pick<Store, 'select' | 'selectSpans' | 'aggregate' | 'names' | 'units'>;

/** Creates the reading half of a redundant store; `redundant-store.ts` says what it promises. */
export function createRedundantReads(options: RedundantReadsOptions): RedundantReads {
  const begin = (): RedundantReadsOptions => ({
    ...options,
    ...(options.agreed && { isEnough: options.agreed.beginRead() }),
  });
  const selectBy = async (read: (store: Store) => Promise<Selection>): Promise<Selection> => {
    const begun = begin();
    const { given, failed } = await ask(options.databases, read, options);
    return { ...completenessOf(failed, begun), summaries: unionById(given.map(({ value }) => value)) };
  };

  return {
    select: (query) => selectBy((store) => store.select(query)),
    selectSpans: (spans) => selectBy((store) => store.selectSpans(spans)),
    aggregate: (query) => redundantAggregate(query, begin()),
    async names(query) {
      const begun = begin();
      const { given, failed } = await ask(options.databases, (store) => store.names(query), options);
      const found = given.map(({ value }) => value);
      return { ...completenessOf(failed, begun), ...unionNames(found, query.limit) };
    },
    units: (names) => unionUnits(names, options.databases),
  };
}
