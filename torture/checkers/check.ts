/**
 * What must never be, found in the history and in what the databases hold in the end; in the manner of Jepsen's checkers
 * of sets. Each finding is a sentence.
 */
import { findOverBounds, findUnavailable, type Limits } from './availability.ts';
import { findDiverged, findDoubled, findForeign, findLost, findReturned } from './contents.ts';
import type { Evidence } from './evidence.ts';
import { findBurnt, findFalselyComplete, findFalselyIncomplete } from './reads.ts';

/** All of them, by name. */
export function check(evidence: Evidence, limits: Limits): ReadonlyMap<string, readonly string[]> {
  return new Map([
    ['lost', findLost(evidence)],
    ['deleted and there', findReturned(evidence)],
    ['unexpected or corrupt', findForeign(evidence)],
    ['diverged', findDiverged(evidence)],
    ['double-counted', findDoubled(evidence)],
    ['falsely complete', findFalselyComplete(evidence)],
    ['falsely incomplete', findFalselyIncomplete(evidence)],
    ['burnt', findBurnt(evidence)],
    ['unavailable', findUnavailable(evidence)],
    ['over bounds', findOverBounds(evidence, limits)],
  ]);
}
