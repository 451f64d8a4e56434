import type { LogLine } from './syslog-frames.ts';

/** Lines that were lost on their way here. */
export interface Dropped {
  /** Of Heroku's error codes: L10 of a drain, L11 of a tail session, L12 and L13 of log-shuttle. */
  readonly code: string;
  readonly lines: number;
}

const senders = new Set(['logplex', 'log-shuttle']);

/** `Error L10 (output buffer overflow): 500 messages dropped since …`, or `…: drain 'd.…' dropped 500 messages since …`. */
const report = /\bError (L1\d)\b[^:]*:(?: (\d{1,15}) messages? |.*?\b(?:dropped|lost) (\d{1,15}) messages?\b)/;

/** What a line reports to have been lost; undefined where it reports nothing. */
export function droppedIn({ procid, message }: LogLine): Dropped | undefined {
  const [, code, lines, linesOfDrain] = senders.has(procid) ? (report.exec(message) ?? []) : [];
  return code === undefined ? undefined : { code, lines: Number(lines ?? linesOfDrain) };
}
