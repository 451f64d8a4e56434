/**
 * The log lines in the body of a drain. Each frame is of RFC 5424: `<PRI>VERSION TIME HOSTNAME APP-NAME PROCID MSGID
 * STRUCTURED-DATA MSG`, except that logplex sends no structured data, not even the `-` for none
 * (https://devcenter.heroku.com/articles/log-drains). `octet-counting.ts` finds the frames.
 */
import { framesOf } from './octet-counting.ts';

/** One line of a log. */
export interface LogLine {
  /** As it was sent; not necessarily a time. */
  readonly time: string;
  /** What of the app said it: `web.1`, `router`. */
  readonly procid: string;
  readonly message: string;
}

/** A part of the body that is no frame. */
export interface BrokenFrame {
  readonly problem: string;
  readonly text: string;
}

/** Bytes of a frame: more than logplex (10 kB a line) and log-shuttle send. What reads it reads all of it at once. */
const frameMax = 65_536;

/** Bytes of a broken frame that are shown. */
const textMax = 200;

const header = /^<\d{1,3}>\d{0,2} (\S+) \S+ \S+ (\S+) \S+(?:[ \r\n]|$)/;

/** `[id name="value" …]`, any number of them. A message that begins with a bracket is none, most likely. */
const structuredData = /^(?:-(?=[ \r\n]|$)|(?:\[[^\s=\]"]+(?: [^\s=\]"]+="(?:[^"\\]|\\.)*")*\])+(?=[ \r\n]|$)) ?/;

const utf8 = new TextDecoder('utf-8');

/** Goes through a body. Whatever is wrong with one part of it, the others are found. */
export function* linesOf(body: Uint8Array): Generator<LogLine | BrokenFrame> {
  for (const { begin, end, problem } of framesOf(body)) {
    const bytes = body.subarray(begin, end);
    yield problem === undefined ? parse(bytes) : broken(problem, bytes);
  }
}

function parse(frame: Uint8Array): LogLine | BrokenFrame {
  if (frame.length > frameMax) return broken(`is longer than ${frameMax} bytes`, frame);
  const text = utf8.decode(frame);
  const [head, time = '', procid = ''] = header.exec(text) ?? [];
  if (head === undefined) return broken('has no header of syslog', frame);
  const rest = text.slice(head.length);
  const [skipped = ''] = structuredData.exec(rest) ?? [];
  // A message that is UTF-8 may say so (RFC 5424, section 6.4).
  return { time, procid, message: rest.slice(skipped.length).replace(/^\uFEFF/, '') };
}

function broken(problem: string, bytes: Uint8Array): BrokenFrame {
  return { problem, text: utf8.decode(bytes.subarray(0, textMax)) };
}
