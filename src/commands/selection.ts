import { aheadSecondsMax } from '../domain/instant.ts';
import type { SummaryQuery } from '../domain/store.ts';
import { createReadQuery } from '../http/views/read-query.ts';
import { parseOptions, UsageError } from './parse-options.ts';

export interface SelectionOptions {
  /** Under which the pattern is given. */
  readonly nameOption: 'name' | 'match';
  /** Options without a value that the command has besides. */
  readonly flags?: readonly string[];
  readonly help: string;
  /** The last instant when none is given, Unix seconds; that which a write may have now when left out. */
  readonly latest?: number;
  /** Unix seconds. */
  readonly now: number;
}

/** What a command is to work on. */
export interface Selection {
  readonly query: SummaryQuery;
  /** The flags that were given. */
  readonly flags: ReadonlySet<string>;
}

/**
 * Parses what follows a command that works on part of the summaries: names and times as of a read, everything when left
 * out.
 *
 * @throws UsageError that says what is wrong.
 */
export function parseSelection(
  args: readonly string[],
  { nameOption, flags = [], help, now, latest = Math.ceil(now + aheadSecondsMax) }: SelectionOptions,
): Selection {
  const text = { type: 'string' } as const;
  const options = {
    [nameOption]: text,
    from: text,
    to: text,
    ...Object.fromEntries(flags.map((flag) => [flag, { type: 'boolean' } as const])),
  };
  const { values, positionals } = parseOptions(args, options, help);
  if (positionals.length > 0) throw new UsageError([`unexpected argument ${positionals[0]}`, help]);
  const given = { from: '0', to: String(latest), ...values, name: values[nameOption] };
  const parsed = createReadQuery(() => now)
    .pick({ name: true, from: true, to: true })
    .safeParse(given);
  if (!parsed.success) {
    const option = (name: PropertyKey | undefined) => (name === 'name' ? nameOption : String(name));
    throw new UsageError(parsed.error.issues.map(({ path: [name], message }) => `--${option(name)}: ${message}`));
  }
  const { name: namePattern, from, to } = parsed.data;
  if (from > to) throw new UsageError(['--from: is later than --to']);
  return { query: { namePattern, from, to }, flags: new Set(flags.filter((flag) => values[flag] === true)) };
}
