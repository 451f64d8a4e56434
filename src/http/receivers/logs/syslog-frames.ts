/**
 * The frames of a log drain's body, in any of the forms in which they are sent:
 *
 * - octet-counted (RFC 6587, section 3.4.1): length, space, frame, as logplex and log-shuttle do;
 * - one a line, without a length.
 *
 * Each frame is of RFC 5424: `<PRI>VERSION TIME HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`, but that logplex sends
 * no structured data, not even the `-` for none (https://devcenter.heroku.com/articles/log-drains).
 */

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

const [newline, space, lessThan] = [10, 32, 60];

/** Bytes of a frame: more than logplex (10 kB a line) and log-shuttle send. What reads it reads all of it at once. */
const frameMax = 65_536;

/** More digits than any length has. */
const lengthDigitsMax = 10;

const header = /^<\d{1,3}>\d{0,2} (\S+) \S+ \S+ (\S+) \S+(?: |$)/;

/** `[id name="value" …]`, any number of them. A message that begins with a bracket is none, most likely. */
const structuredData = /^(?:-(?: |$)|(?:\[[^\s=\]"]+(?: [^\s=\]"]+="(?:[^"\\]|\\.)*")*\])+(?: |$))/;

const utf8 = new TextDecoder('utf-8');

/** Goes through a body. Whatever is wrong with one part of it, the others are found. */
export function* linesOf(body: Uint8Array): Generator<LogLine | BrokenFrame> {
  let at = 0;
  while (at < body.length) {
    const byte = body[at] ?? 0;
    if (byte <= space) {
      at += 1;
      continue;
    }
    const begin = byte === lessThan ? at : beginOfCounted(body, at);
    if (begin === undefined) {
      const end = endOfLine(body, at);
      yield broken('is neither a length nor a frame of syslog', body.subarray(at, end));
      at = end;
      continue;
    }
    const end = begin === at ? endOfLine(body, at) : begin + Number(utf8.decode(body.subarray(at, begin - 1)));
    const frame = body.subarray(begin, end);
    yield end > body.length ? broken(`ends after ${frame.length} of ${end - begin} octets`, frame) : parse(frame);
    // Where its length is wrong, there may be others in what follows its first line.
    at = end > body.length ? endOfLine(body, begin) : end;
  }
}

/** Where the frame begins whose length is here; undefined where none is. */
function beginOfCounted(body: Uint8Array, at: number): number | undefined {
  let end = at;
  while (end - at <= lengthDigitsMax && isDigit(body[end])) end += 1;
  return end > at && body[end] === space && body[end + 1] === lessThan ? end + 1 : undefined;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

function endOfLine(body: Uint8Array, at: number): number {
  const end = body.indexOf(newline, at);
  return end === -1 ? body.length : end;
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
  return { problem, text: utf8.decode(bytes.subarray(0, 200)) };
}
