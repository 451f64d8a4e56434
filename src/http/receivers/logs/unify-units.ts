import { convert } from '../../../domain/units.ts';
import type { BrokenPair } from './observations.ts';
import { type Measured, magnitudeMax } from './parse-value.ts';
import type { SeriesUnits } from './series-units.ts';

/** The values of a metric, which are to have one unit. */
interface ValuesOfMetric {
  readonly name: string;
  /** Replaced in place. */
  readonly measured: Measured[];
}

/**
 * Brings the values of each metric to the units of its series; where the series has none, to the first units among the values.
 * Values without units are taken to be in those of the series.
 *
 * @returns The values whose units do not convert; they are taken out.
 */
export async function unifyUnits(metrics: readonly ValuesOfMetric[], unitsOf: SeriesUnits): Promise<BrokenPair[]> {
  const first = new Map<string, string>();
  for (const { name, measured } of metrics) {
    const units = first.get(name) ?? measured.find((one) => one.units !== undefined)?.units;
    if (units !== undefined) first.set(name, units);
  }
  if (first.size === 0) return [];
  const ofSeries = await unitsOf(first);
  return metrics.flatMap(({ name, measured }) => {
    const target = ofSeries.get(name);
    return target === undefined ? [] : bringTo(target, name, measured);
  });
}

function bringTo(target: string, name: string, measured: Measured[]): BrokenPair[] {
  const refused: BrokenPair[] = [];
  const brought = measured.flatMap(({ value, units = target }) => {
    const converted = convert(value, units, target);
    if (converted !== undefined && Math.abs(converted) <= magnitudeMax) return [{ value: converted, units: target }];
    refused.push({
      problem: `has units that do not convert to "${target}", those of its series`,
      text: `${name}=${value}${units}`,
    });
    return [];
  });
  measured.splice(0, measured.length, ...brought);
  return refused;
}
