/**
 * Splits a body into frames of syslog, octet-counted (RFC 6587, section 3.4.1) or one a line, and finds the next frame where a
 * length is wrong.
 *
 * 1. A counted frame is `LENGTH SP <PRI>…`. Its length is trusted when it ends at a line end, at the end of the body, or where
 *    another frame begins.
 * 2. A length that is wrong by a little may cut through digits: `…=1234` and `97 <190>…` with a length that is one too small leave
 *    `497 <190>…`. So where a frame seems to begin, all digits before its `<` are tried. The ones that lead to the beginning of
 *    yet another frame are its length; if they begin elsewhere, the first length is wrong.
 * 3. A frame with a wrong length is broken. The search for the next one starts inside it, so that a length that is too large
 *    takes no neighbour along.
 *
 * Refused alternative: to trust every length, as the original l2met did. One wrong length then cuts a value short or swallows frames.
 */

/** Part of a body: octets from `begin` to before `end`. */
export interface Frame {
  readonly begin: number;
  readonly end: number;
  /** Why it cannot be read; undefined: it can. */
  readonly problem: string | undefined;
}

const [newline, space, zero, nine, lessThan, moreThan, backslash] = [10, 32, 48, 57, 60, 62, 92];

/** More digits than any length has. */
const lengthDigitsMax = 10;

/** `<191>` is the greatest priority there is. */
const priorityDigitsMax = 3;

/** Octets of white space between two frames that are looked at: enough for CRLF and padding, and little work for hostile bodies. */
const gapMax = 16;

/** Goes through a body. Every frame, broken or not, is given once, in order. */
export function* framesOf(body: Uint8Array): Generator<Frame> {
  const find = createFinder(body);
  for (let at = 0; at < body.length; ) {
    if ((body[at] ?? 0) <= space) {
      at += 1;
      continue;
    }
    const frame = frameAt(body, at, find);
    yield frame;
    at = frame.end;
  }
}

/** Where the next frame begins after an octet; the end of the body where there is none. */
type Find = (after: number) => number;

function frameAt(body: Uint8Array, at: number, find: Find): Frame {
  if (isPriority(body, at)) return { begin: at, end: endOfLine(body, at), problem: undefined };
  const counted = countedAt(body, at);
  if (counted === undefined) {
    return {
      begin: at,
      end: Math.min(endOfLine(body, at), find(at)),
      problem: 'is neither a length nor a frame of syslog',
    };
  }
  const { begin, end } = counted;
  const isRight = end <= body.length && isBoundary(body, end) && !holdsAnother(body, begin, end);
  if (isRight) return { begin, end, problem: undefined };
  const next = find(begin);
  const problem =
    end > body.length && next === body.length
      ? `ends after ${body.length - begin} of ${end - begin} octets`
      : `has a wrong length: no frame ends after ${end - begin} octets`;
  return { begin, end: next, problem };
}

interface Counted {
  /** Where its length begins. */
  readonly at: number;
  readonly begin: number;
  /** By its length: possibly beyond the body. */
  readonly end: number;
}

/** The frame whose length begins here, whatever the length says; undefined where none does. */
function countedAt(body: Uint8Array, at: number): Counted | undefined {
  let end = at;
  let octets = 0;
  for (; end - at <= lengthDigitsMax && isDigit(body[end]); end += 1) octets = 10 * octets + (body[end] ?? 0) - zero;
  if (end === at || body[end] !== space || !isPriority(body, end + 1)) return undefined;
  return { at, begin: end + 1, end: end + 1 + octets };
}

/** Whether a frame can end here. */
function isBoundary(body: Uint8Array, end: number): boolean {
  if (end === body.length || body[end - 1] === newline) return true;
  // The examples of l2met end with these two characters, of which their lengths count the first.
  if (body[end - 1] === backslash && body[end] === 0x6e) return true;
  const at = skipGap(body, end);
  if (at === undefined || at === body.length || isUncounted(body, at)) return true;
  const next = countedAt(body, at);
  if (next === undefined) return false;
  // Where no digits are plausible, the length of the next frame is wrong, which says nothing about this one.
  return (lengthBefore(body, next.begin)?.at ?? at) === at;
}

/** Whether something begins where this frame ends. That one is not checked in turn. */
function isPlausible(body: Uint8Array, { end }: Counted): boolean {
  if (end > body.length) return false;
  const at = skipGap(body, end);
  return at === undefined || at === body.length || isUncounted(body, at) || countedAt(body, at) !== undefined;
}

/** Whether a frame begins here and no length stands before it. */
function isUncounted(body: Uint8Array, at: number): boolean {
  return isPriority(body, at) && !(body[at - 1] === space && isDigit(body[at - 2]));
}

/**
 * Of the digits before the frame that begins here, those that are its length: the fewest that lead to a plausible end. With
 * more of them the frame would include others, where all frames are of one size.
 */
function lengthBefore(body: Uint8Array, begin: number): Counted | undefined {
  for (let at = begin - 2; begin - at <= lengthDigitsMax + 1 && isDigit(body[at]); at -= 1) {
    const counted = countedAt(body, at);
    if (counted && isPlausible(body, counted)) return counted;
  }
  return undefined;
}

/** Whether a counted frame inside has the same end, but for white space: then the length includes a neighbour. */
function holdsAnother(body: Uint8Array, begin: number, end: number): boolean {
  for (let at = body.indexOf(lessThan, begin + 1); at !== -1 && at < end; at = body.indexOf(lessThan, at + 1)) {
    for (let first = at - 2; first > begin && at - first <= lengthDigitsMax + 1 && isDigit(body[first]); first -= 1) {
      const inner = countedAt(body, first);
      if (inner && withoutGap(body, inner.end) === withoutGap(body, end)) return true;
    }
  }
  return false;
}

/** Remembers what it has found, so that a body of nothing but broken frames is not searched again for each of them. */
function createFinder(body: Uint8Array): Find {
  let found = { after: body.length, at: body.length };
  return (after) => {
    if (after < found.after || after >= found.at) found = { after, at: nextFrame(body, after) };
    return found.at;
  };
}

function nextFrame(body: Uint8Array, after: number): number {
  for (let at = body.indexOf(lessThan, after + 1); at !== -1; at = body.indexOf(lessThan, at + 1)) {
    if (!isPriority(body, at)) continue;
    if (body[at - 1] === newline) return at;
    const counted = body[at - 1] === space ? lengthBefore(body, at) : undefined;
    if (counted && counted.at > after) return counted.at;
  }
  return body.length;
}

function endOfLine(body: Uint8Array, at: number): number {
  const end = body.indexOf(newline, at);
  return end === -1 ? body.length : end;
}

/** Where white space ends; undefined where it is too long to tell. */
function skipGap(body: Uint8Array, from: number): number | undefined {
  for (let at = from; at <= from + gapMax; at += 1) if (at === body.length || (body[at] ?? 0) > space) return at;
  return undefined;
}

/** Where white space before an end begins. */
function withoutGap(body: Uint8Array, end: number): number {
  let at = end;
  while (end - at < gapMax && (body[at - 1] ?? newline) <= space) at -= 1;
  return at;
}

/** Whether a header begins here: `<190>`. */
function isPriority(body: Uint8Array, at: number): boolean {
  if (body[at] !== lessThan) return false;
  let end = at + 1;
  while (end - at <= priorityDigitsMax && isDigit(body[end])) end += 1;
  return end > at + 1 && body[end] === moreThan;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= nine;
}
