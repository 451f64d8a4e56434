import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { ConfigError } from '../config.ts';

/**
 * Parses what follows a command.
 *
 * @throws ConfigError that says what is wrong, and the help.
 */
export function parseOptions<Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
  help: string,
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new ConfigError([error instanceof Error ? error.message : String(error), help]);
  }
}
