import { statisticNames } from '../../src/domain/summary.ts';
import { keyOf, operationsOf, type Sent, statisticsOf } from '../history.ts';
import type { Evidence } from './evidence.ts';
import { type Fate, fateOf, livesOf } from './lives.ts';

const keysIn = ({ contents }: Evidence) => contents.map((content) => new Set([...content.values()].map(keyOf)));

const keysOfFate = ({ history }: Evidence, fate: Fate) =>
  [...livesOf(history)].filter(([, life]) => fateOf(life) === fate).map(([key]) => key);

/** Acknowledged, not deleted since, and in no database. */
export function findLost(evidence: Evidence): string[] {
  const held = keysIn(evidence);
  return keysOfFate(evidence, 'there')
    .filter((key) => !held.some((keys) => keys.has(key)))
    .map((key) => `${key} was acknowledged and is in no database`);
}

/** Deleted, not sent again since, and in a database. */
export function findReturned(evidence: Evidence): string[] {
  const held = keysIn(evidence);
  return keysOfFate(evidence, 'gone').flatMap((key) =>
    held.flatMap((keys, database) => (keys.has(key) ? [`${key} was deleted and is in db${database + 1}`] : [])),
  );
}

/** In a database, and never sent; or with other content than was sent. */
export function findForeign(evidence: Evidence): string[] {
  const sent = new Map(operationsOf(evidence.history, 'write').flatMap(({ summaries }) => summaries.map(entryOf)));
  return evidence.contents.flatMap((content, database) =>
    [...content.values()].flatMap((held) => {
      const original = sent.get(keyOf(held));
      if (original === undefined) return [`${keyOf(held)} in db${database + 1} was never sent`];
      const statistics = statisticsOf(original);
      return statisticNames
        .filter((name) => held[name] !== statistics[name])
        .map(
          (name) =>
            `${keyOf(held)} in db${database + 1}: its ${name} is ${held[name]}, and was sent as ${statistics[name]}`,
        );
    }),
  );
}

const entryOf = (summary: Sent) => [keyOf(summary), summary] as const;

/** Databases that hold different ids in the end. */
export function findDiverged({ contents }: Evidence): string[] {
  const all = new Set(contents.flatMap((content) => [...content.keys()]));
  return contents.flatMap((content, database) => {
    const missing = [...all].filter((id) => !content.has(id));
    if (missing.length === 0) return [];
    const names = new Set(contents.flatMap((other) => missing.flatMap((id) => other.get(id)?.name ?? [])));
    return [`db${database + 1} lacks ${missing.length} of ${all.size} summaries: ${[...names].toSorted().join(', ')}`];
  });
}

/** One summary under several ids, or counted more than once by a read. */
export function findDoubled(evidence: Evidence): string[] {
  const idsOf = new Map<string, Set<string>>();
  for (const [id, summary] of evidence.contents.flatMap((content) => [...content])) {
    idsOf.set(keyOf(summary), (idsOf.get(keyOf(summary)) ?? new Set()).add(id));
  }
  const stored = [...idsOf].filter(([, ids]) => ids.size > 1).map(([key]) => `${key} is stored more than once`);
  const mask = maskOf(operationsOf(evidence.history, 'write').flatMap(({ summaries }) => summaries));
  const read = operationsOf(evidence.history, 'read').flatMap(({ name, counts, beganMs }) =>
    [...counts]
      .filter(([bucket, count]) => (count & ~(mask.get(`${name} ${bucket}`) ?? 0)) !== 0)
      .map(([bucket, count]) => `a read at ${Math.round(beganMs)} ms counted ${count} of ${name} ${bucket}`),
  );
  return [...stored, ...read];
}

/** By name and bucket: the sum of the counts that were sent. */
function maskOf(summaries: readonly Sent[]): Map<string, number> {
  const mask = new Map<string, number>();
  for (const { name, bucket, count } of summaries)
    mask.set(`${name} ${bucket}`, (mask.get(`${name} ${bucket}`) ?? 0) | count);
  return mask;
}
