import type { Selection } from '../domain/store.ts';
import type { Summary } from '../domain/summary.ts';

/** The summaries of several databases, every id once. */
export function unionById(selections: readonly Selection[]): Summary[] {
  const byId = new Map<string, Summary>();
  for (const { summaries } of selections) for (const summary of summaries) byId.set(summary.id, summary);
  return [...byId.values()];
}
