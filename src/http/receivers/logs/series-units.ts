/**
 * The units of series, remembered for a while, so that the lines of a drain, whose series are mostly the same ones, cost one look-up
 * a minute.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../../domain/store.ts';
import { isUnitsText } from './parse-value.ts';

/** Units change when somebody says so by `POST /metrics`; that is noticed within a minute. */
const rememberedMs = 60_000;

/** Names and units of some 100 bytes: a few megabytes. Past it all are forgotten and looked up again. */
const rememberedMax = 50_000;

/** The values can be stored without knowing; a drain is not kept waiting for a slow database. */
const lookUpMs = 500;

/**
 * Gives the units that the values of some series are to have: those of the series or, where it has none that is known, those that
 * are proposed. Never rejects.
 *
 * @param proposed By name.
 */
export type SeriesUnits = (proposed: ReadonlyMap<string, string>) => Promise<ReadonlyMap<string, string>>;

/** Creates a look-up of units that remembers what it has found. */
export function createSeriesUnits(units: Store['units']): SeriesUnits {
  const remembered = new Map<string, { readonly units: string; readonly untilMs: number }>();

  const remember = (found: ReadonlyMap<string, string>) => {
    if (remembered.size + found.size > rememberedMax) remembered.clear();
    const untilMs = performance.now() + rememberedMs;
    for (const [name, known] of found) remembered.set(name, { units: known, untilMs });
  };

  return async (proposed) => {
    const names = [...proposed.keys()];
    const nowMs = performance.now();
    const unknown = names.filter((name) => (remembered.get(name)?.untilMs ?? 0) < nowMs);
    if (unknown.length > 0) {
      const nothing: ReadonlyMap<string, string> = new Map();
      const found = await Promise.race([units(unknown).catch(() => nothing), sleep(lookUpMs, nothing, { ref: false })]);
      // Units that no line could have, such as free text sent by `POST /metrics`, give way to those of the lines.
      const chosen = (name: string) =>
        [found.get(name)].find((one) => one !== undefined && isUnitsText(one)) ?? proposed.get(name) ?? '';
      remember(new Map(unknown.map((name) => [name, chosen(name)])));
    }
    return new Map(names.map((name) => [name, remembered.get(name)?.units ?? proposed.get(name) ?? '']));
  };
}
