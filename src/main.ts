#!/usr/bin/env node
import { deleteHelp, deleteMetrics } from './commands/delete.ts';
import { demo, demoHelp } from './commands/demo.ts';
import { exportHelp, exportSummaries } from './commands/export.ts';
import { collectGarbage, gcHelp } from './commands/gc.ts';
import { importFile, importHelp } from './commands/import.ts';
import { migrateAll } from './commands/migrate.ts';
import { repairHelp, repairOnce } from './commands/repair.ts';
import { serve } from './commands/serve.ts';
import { verifyAll, verifyHelp } from './commands/verify.ts';
import { type Config, ConfigError, readConfig } from './config.ts';

interface Command {
  /** Sets the exit code of the process when it has not done all that was asked. */
  readonly run: (config: Config, args: readonly string[]) => Promise<void>;
  /** What `--help` prints; a command that has none takes no arguments. */
  readonly help?: string;
}

const commands: Readonly<Record<string, Command>> = {
  serve: { run: (config) => serve(config) },
  migrate: { run: migrateAll },
  gc: { run: collectGarbage, help: gcHelp },
  import: { run: importFile, help: importHelp },
  export: { run: exportSummaries, help: exportHelp },
  repair: { run: repairOnce, help: repairHelp },
  verify: { run: verifyAll, help: verifyHelp },
  delete: { run: deleteMetrics, help: deleteHelp },
  demo: { run: demo, help: demoHelp },
};

const usage = `usage: m2pg [${Object.keys(commands).join(' | ')}]`;

const asksForHelp = (argument: string | undefined) => argument === '--help' || argument === '-h';

async function main(): Promise<void> {
  const [name = 'serve', ...args] = process.argv.slice(2);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (asksForHelp(name) || args.some(asksForHelp)) {
    process.stdout.write(command?.help ?? `${usage}\nMore of a command: m2pg COMMAND --help\n`);
    return;
  }
  if (command === undefined || (args.length > 0 && command.help === undefined)) throw new ConfigError([usage]);
  await command.run(readConfig(process.env), args);
}

try {
  await main();
  // Timers and sockets of a frozen database may be left; nothing waits for them any more.
  process.exit();
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
