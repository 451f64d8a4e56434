import { z } from '@hono/zod-openapi';
import { invalidRequest } from '../../domain/failure.ts';
import type { Series } from '../../domain/group-summaries.ts';
import { type StatisticName, statisticNames } from '../../domain/summary.ts';

/** More lines than anybody can tell apart; a pattern this wide is most likely a mistake. */
const namesMax = 10_000;

const entries = z.array(z.object({ bucket: z.number(), value: z.number() }));

/** The shape that the README of the original promised; each of the eight has one entry per bucket that holds data. */
export const metricsAnswer = z
  .array(
    z.object({
      name: z.string(),
      count: entries,
      mean: entries,
      median: entries,
      min: entries,
      max: entries,
      perc95: entries,
      perc99: entries,
      last: entries,
    }),
  )
  .openapi('Metrics', { description: 'Names ascending, buckets ascending, in Unix seconds.' });

type MetricsAnswer = z.output<typeof metricsAnswer>;

/**
 * Shows series in the shape of `metricsAnswer`.
 *
 * @throws Failure `invalid_request` when there are more names than one answer may hold.
 */
export function viewMetrics(series: readonly Series[]): MetricsAnswer {
  if (series.length > namesMax) {
    const message = `matches ${series.length} names, at most ${namesMax} are answered; narrow it`;
    throw invalidRequest({ path: 'name', message });
  }
  return series.map(({ name, points }) => {
    const entriesOf = (statistic: StatisticName) =>
      points.map((point) => ({ bucket: point.bucket, value: point[statistic] }));
    const byStatistic = statisticNames.map((statistic) => [statistic, entriesOf(statistic)] as const);
    return { name, ...(Object.fromEntries(byStatistic) as Omit<MetricsAnswer[number], 'name'>) };
  });
}
