import { compareBytes } from '../domain/compare-bytes.ts';
import type { NamedSpan, Names } from '../domain/store.ts';

/**
 * The names of several databases, each with the least first and the greatest last bucket.
 *
 * A name that is among the first `limit` of all is so in every database that has it: what those leave out is not missed.
 */
export function unionNames(given: readonly Names[], limit: number): Pick<Names, 'names' | 'more'> {
  const byName = new Map<string, NamedSpan>();
  for (const span of given.flatMap(({ names }) => names)) {
    const known = byName.get(span.name);
    byName.set(span.name, known ? join(known, span) : span);
  }
  const names = [...byName.values()].toSorted((a, b) => compareBytes(a.name, b.name));
  return { names: names.slice(0, limit), more: names.length > limit || given.some(({ more }) => more) };
}

function join(a: NamedSpan, b: NamedSpan): NamedSpan {
  const { name } = a;
  return { name, units: a.units ?? b.units, first: Math.min(a.first, b.first), last: Math.max(a.last, b.last) };
}
