/** One line of the results: what was measured, beside what, and what is to be reached. */
export interface Figure {
  readonly name: string;
  readonly measured: string;
  readonly limit: string;
  /** Median of the ratios of the pairs; undefined where there is nothing to be beside. */
  readonly ratio: number | undefined;
  /** Such as `≥ 0.60`. */
  readonly target: string;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? at(sorted, middle) : (at(sorted, middle - 1) + at(sorted, middle)) / 2;
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? Number.NaN;
}

/** How often each pair is measured: the machine's speed drifts, the ratio of neighbours hardly does. */
export const pairs = 5;

/** Measures two things in turn, one pair not counted and then five, and gives their values pair by pair. */
export async function measurePairs(
  measure: () => Promise<number>,
  measureLimit: () => Promise<number>,
): Promise<{ measured: number; limit: number; ratio: number }> {
  const rows: [number, number][] = [];
  for (let pair = 0; pair <= pairs; pair += 1) {
    const row: [number, number] = [await measureLimit(), await measure()];
    if (pair > 0) rows.push(row);
  }
  return {
    limit: median(rows.map(([limit]) => limit)),
    measured: median(rows.map(([, measured]) => measured)),
    ratio: median(rows.map(([limit, measured]) => measured / limit)),
  };
}

export function perSecond(value: number): string {
  return `${Math.round(value).toLocaleString('en')}/s`;
}

export function milliseconds(value: number): string {
  return `${value < 10 ? value.toFixed(2) : Math.round(value)} ms`;
}

export function toTable(figures: readonly Figure[]): string {
  const rows = figures.map(
    ({ name, measured, limit, ratio, target }) =>
      `| ${name} | ${measured} | ${limit} | ${ratio?.toFixed(2) ?? '—'} | ${target} |`,
  );
  return ['| figure | measured | beside | ratio | to reach |', '|---|---|---|---|---|', ...rows].join('\n');
}
