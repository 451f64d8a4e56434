import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { ConfigError } from '../config.ts';
import { didYouMean } from './nearest.ts';

/** What was typed is no command of m2pg, or none that it can run; nothing was done. */
export class UsageError extends ConfigError {
  /** The exit code that says so, by the custom of shells. */
  static readonly exitCode = 2;
}

/**
 * Parses what follows a command.
 *
 * @throws UsageError that says what is wrong, what was meant most likely, and the help.
 */
export function parseOptions<Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
  help: string,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    const [, option = ''] = /^Unknown option '-*([^']*)'/.exec(message) ?? [];
    const isUnknown = code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION';
    const dashes = option.length > 1 ? '--' : '-';
    const unknown = `unknown option ${dashes}${option}${didYouMean(option, Object.keys(options), '--')}`;
    throw new UsageError([isUnknown ? unknown : message, help]);
  }
}

/** @throws UsageError when something follows a command that takes nothing. */
export function refuseArguments(args: readonly string[], help: string): void {
  const [first] = parseOptions(args, {}, help).positionals;
  if (first !== undefined) throw new UsageError([`unexpected argument ${first}`, help]);
}
