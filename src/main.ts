import { collectGarbage } from './commands/gc.ts';
import { migrateAll } from './commands/migrate.ts';
import { serve } from './commands/serve.ts';
import { type Config, ConfigError, readConfig } from './config.ts';

const commands: Readonly<Record<string, (config: Config) => Promise<void>>> = {
  serve,
  migrate: migrateAll,
  gc: collectGarbage,
};

const usage = `usage: node src/main.ts [${Object.keys(commands).join(' | ')}]`;

async function main(): Promise<void> {
  const [name = 'serve', ...rest] = process.argv.slice(2);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined || rest.length > 0) throw new ConfigError([usage]);
  await command(readConfig(process.env));
}

try {
  await main();
  // Timers and sockets of a frozen database may be left; nothing waits for them any more.
  process.exit(0);
} catch (error) {
  const text = error instanceof ConfigError ? error.problems.join('\n') : describe(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

/** What went wrong, and why it did; the stack only of what is a mistake of ours. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message.startsWith('BUG:') || error instanceof TypeError) return error.stack ?? error.message;
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
