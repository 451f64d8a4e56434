import { aheadSecondsMax } from './instant.ts';

/** The limits on the time of a summary; the same for every receiver. */
export interface TimeLimits {
  /** How long summaries are kept, in seconds. Undefined: for ever. */
  readonly retentionSeconds: number | undefined;
  /** The greatest age of arriving data, in seconds. Undefined: from 1970 on. */
  readonly ageMaxSeconds?: number | undefined;
}

/** The oldest time that is accepted, in Unix seconds. */
export function oldestTaken(now: number, { retentionSeconds, ageMaxSeconds }: TimeLimits): number {
  const forEver = Number.POSITIVE_INFINITY;
  return Math.max(0, now - Math.min(retentionSeconds ?? forEver, ageMaxSeconds ?? forEver));
}

const days = (seconds: number) => `${seconds / 86_400} days`;

/** Why a time is refused; undefined when it is accepted. Times in Unix seconds. */
export function timeProblem(time: number, now: number, limits: TimeLimits): string | undefined {
  const { retentionSeconds, ageMaxSeconds } = limits;
  const ageSeconds = now - time;
  if (ageSeconds < -aheadSecondsMax) return 'is more than 1 hour ahead';
  if (time < 0) return 'is before 1970';
  if (ageMaxSeconds !== undefined && ageSeconds > ageMaxSeconds)
    return `is older than AGE_MAX (${days(ageMaxSeconds)})`;
  if (retentionSeconds !== undefined && ageSeconds > retentionSeconds) {
    return `is older than RETENTION keeps (${days(retentionSeconds)})`;
  }
  return undefined;
}
