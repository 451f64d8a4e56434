#!/usr/bin/env node
import packageJson from '../package.json' with { type: 'json' };
import { deleteHelp, deleteMetrics } from './commands/delete.ts';
import { demo, demoHelp } from './commands/demo.ts';
import { exportHelp, exportSummaries } from './commands/export.ts';
import { collectGarbage, gcHelp } from './commands/gc.ts';
import { importFile, importHelp } from './commands/import.ts';
import { migrateAll, migrateHelp } from './commands/migrate.ts';
import { didYouMean } from './commands/nearest.ts';
import { refuseArguments, UsageError } from './commands/parse-options.ts';
import { OutputClosedError, print } from './commands/print.ts';
import { repairHelp, repairOnce } from './commands/repair.ts';
import { serve, serveHelp } from './commands/serve.ts';
import { verifyAll, verifyHelp } from './commands/verify.ts';
import { type Config, ConfigError, readConfig } from './config.ts';

interface Command {
  /** Sets the exit code of the process when it has not done all that was asked. */
  readonly run: (config: Config, args: readonly string[]) => Promise<void>;
  /** What the list of commands says. */
  readonly summary: string;
  /** What `--help` prints. */
  readonly help: string;
}

async function serveOnly(config: Config, args: readonly string[]): Promise<void> {
  refuseArguments(args, serveHelp);
  await serve(config);
}

const commands: Readonly<Record<string, Command>> = {
  serve: {
    run: serveOnly,
    summary: 'serve HTTP and look after the databases; the same without a command',
    help: serveHelp,
  },
  migrate: { run: migrateAll, summary: 'bring the schema of the databases up to date', help: migrateHelp },
  gc: { run: collectGarbage, summary: 'look after the databases in a process of its own', help: gcHelp },
  import: { run: importFile, summary: 'store summaries from a file', help: importHelp },
  export: { run: exportSummaries, summary: 'print summaries', help: exportHelp },
  repair: { run: repairOnce, summary: 'copy to each database what it lacks', help: repairHelp },
  verify: { run: verifyAll, summary: 'compare all that the databases hold', help: verifyHelp },
  delete: { run: deleteMetrics, summary: 'delete the summaries of metrics', help: deleteHelp },
  demo: { run: demo, summary: 'show a service with data that are made up', help: demoHelp },
};

const list = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(9)}${summary}`);

const usage = `usage: m2pg [COMMAND]

${list.join('\n')}

m2pg COMMAND --help tells more of a command, m2pg --version which version this is. Settings are environment variables,
which README.md lists.
`;

const asksForHelp = (argument: string | undefined) => argument === '--help' || argument === '-h';

/** @throws UsageError for what is no command. */
function findCommand(name: string): Command {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command !== undefined) return command;
  const isOption = name.startsWith('-');
  const known = isOption ? ['--help', '--version'] : Object.keys(commands);
  throw new UsageError([`unknown ${isOption ? 'option' : 'command'} ${name}${didYouMean(name, known)}`, usage]);
}

async function main(): Promise<void> {
  const [name = 'serve', ...args] = process.argv.slice(2);
  if (name === 'help' || asksForHelp(name)) {
    const [about] = args.filter((argument) => !asksForHelp(argument));
    await print(about === undefined ? usage : findCommand(about).help);
  } else if (name === '--version' || name === '-v' || name === 'version') {
    await print(`m2pg ${packageJson.version}\n`);
  } else {
    const { run, help } = findCommand(name);
    if (args.some(asksForHelp)) await print(help);
    else await run(readConfig(process.env), args);
  }
}

// Whoever writes there is told. What is only said by the way must not end a service whose terminal or log has gone.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

try {
  await main();
  // Timers and sockets of a frozen database may be left; nothing waits for them any more.
  process.exit();
} catch (error) {
  const text = error instanceof ConfigError ? error.problems.join('\n') : describe(error);
  process.stderr.write(`${text.trimEnd()}\n`);
  process.exit(exitCodeOf(error));
}

function exitCodeOf(error: unknown): number {
  if (error instanceof OutputClosedError) return OutputClosedError.exitCode;
  return error instanceof UsageError ? UsageError.exitCode : 1;
}

/** What went wrong, and why it did; the stack only of what is a mistake of ours. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message.startsWith('BUG:') || error instanceof TypeError) return error.stack ?? error.message;
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
