import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config.ts';
import { demoLines, telltaleNames } from './demo-lines.ts';
import { nextSignal } from './next-signal.ts';
import { parseOptions, UsageError } from './parse-options.ts';
import { createProgress } from './progress.ts';
import { serve } from './serve.ts';

/** What `--help` prints. */
export const demoHelp = `usage: m2pg demo [URL] [--once]

Sends an hour of log lines of an app that does not exist to POST /logs, and goes on live until Ctrl-C, so that the page has
something to show. Without URL it runs the service too, as m2pg does without a command.

  URL     of a service, such as http://localhost:8080; a token in it as http://token@host. Else the first of TOKENS that may
          write is used
  --once  end after the hour
`;

const hour = 3_600;

/** Seconds of lines in a request, of the hour and live. */
const [batchOfHour, batchLive] = [60, 2];

const retryMs = 2_000;

/** A service that is frozen answers never. It would take the batch within its own WRITE_TIMEOUT_MS, or refuse it. */
const answerMs = 15_000;

/** Sends the lines, as `demoHelp` says. */
export async function demo(config: Config, args: readonly string[]): Promise<void> {
  const { values, positionals } = parseOptions(args, { once: { type: 'boolean' } }, demoHelp);
  const [given, ...more] = positionals;
  if (more.length > 0) throw new UsageError([`expected one URL, not ${positionals.length}`, demoHelp]);
  const token = config.tokens.find(({ scope }) => scope !== 'read')?.secret;
  const isOnce = values.once === true;
  if (given !== undefined) {
    const stopping = new AbortController();
    nextSignal().then(() => stopping.abort());
    return send(parseUrl(given), token, isOnce, stopping.signal);
  }
  await serve({ ...config, webConcurrency: 1 }, (url, signal) => send(new URL(url), token, isOnce, signal));
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol)) return url;
  // Not what was given: there may be a token in it.
  throw new UsageError(['URL: expected one such as http://localhost:8080', demoHelp]);
}

async function send(url: URL, token: string | undefined, isOnce: boolean, signal: AbortSignal): Promise<void> {
  const begun = Math.floor(Date.now() / 1000);
  const drain = createDrain(url, token);
  const progress = createProgress(process.stderr);
  let sent = begun - hour;
  const sendUntil = async (until: number) => {
    await drain(demoLines(sent, until, begun, Math.random), signal);
    sent = until;
  };
  while (sent < begun && !signal.aborted) {
    await sendUntil(Math.min(begun, sent + batchOfHour));
    progress.show(1 - (begun - sent) / hour, 'an hour of logs');
  }
  progress.clear();
  if (signal.aborted) return;
  process.stdout.write(
    `sent an hour of logs; look at ${url.origin}/?${new URLSearchParams({ match: telltaleNames })}\n`,
  );
  if (isOnce) return;
  process.stdout.write('more follow until Ctrl-C\n');
  while (!signal.aborted) {
    await sleep(batchLive * 1_000, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) await sendUntil(Math.floor(Date.now() / 1000));
  }
}

/** Sends a batch until it is taken, as logplex does, with the same id each time. */
function createDrain(url: URL, token: string | undefined) {
  const credentials = url.username || url.password ? `${url.username}:${url.password}` : `${token ?? ''}:`;
  const headers = {
    'Content-Type': 'application/logplex-1',
    ...(credentials !== ':' && { Authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }),
  };
  const target = new URL('/logs', url.origin);
  return async (body: string, signal: AbortSignal): Promise<void> => {
    const id = randomUUID();
    while (!signal.aborted) {
      const problem = await post(target, body, { ...headers, 'Logplex-Frame-Id': id }, signal);
      if (problem === undefined || signal.aborted) return;
      process.stderr.write(`${target.href}: ${problem}; trying again\n`);
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  };
}

/**
 * @returns Why it was not taken, when it may be later.
 * @throws Error when it never will be.
 */
async function post(
  url: URL,
  body: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
  const answer = fetch(url, { method: 'POST', body, headers, signal: bounded }).then(async (given) => {
    return { ok: given.ok, status: given.status, text: await given.text() };
  });
  const response = await answer.catch((error: Error) => error);
  if (response instanceof Error) return response.cause instanceof Error ? response.cause.message : response.message;
  if (response.ok) return undefined;
  const problem = `${response.status} ${response.text}`;
  if (response.status >= 500) return problem;
  throw new Error(`${url.href}: ${problem}`);
}
