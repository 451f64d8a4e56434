/**
 * Cuts JSON into its elements as its bytes come: those of an array, or objects one after another, over however many lines.
 * Only one element is ever in memory, so an array may be of any size.
 *
 * 1. Outside of elements, white space and commas are passed over; `[` begins an array and `]` ends it.
 * 2. Anything else begins an element. Brackets and braces count up and down, except in strings; the element ends where they
 *    are even again, or, where it began with none, at a comma, at `]` or at the end of the line.
 * 3. Whether an element is JSON, the parser finds out.
 *
 * Where a quote or a brace is missing, the rest of the array becomes part of that element, which is refused with its number.
 * NDJSON is better there, since each line begins anew; an array has no such mark.
 */
import { isUtf8 } from 'node:buffer';
import { Failure } from '../../domain/failure.ts';
import { type Line, lineBytesMax, notUtf8, type Splitter, tooLong } from './line-splitter.ts';

const [quote, backslash, comma, newline] = [0x22, 0x5c, 0x2c, 0x0a];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

/** White space, and the byte order mark with which Windows begins its files. */
const passedOver = new Set([0x20, 0x09, newline, 0x0d, 0xef, 0xbb, 0xbf]);

/** Creates a splitter that holds one element at most, and of one that is too long nothing. */
export function createJsonSplitter(bytesMax = lineBytesMax): Splitter {
  const element = createElement(bytesMax);
  let isInArray = false;
  let count = 0;

  /** @returns Where the next element begins; the length of the bytes when none does. */
  const pass = (bytes: Buffer, from: number): number => {
    for (let at = from; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0;
      if (byte === comma || passedOver.has(byte)) continue;
      if (byte !== (isInArray ? closeBracket : openBracket)) return at;
      isInArray = !isInArray;
    }
    return bytes.length;
  };

  return {
    unit: 'element',
    push(bytes) {
      const found: Line[] = [];
      let at = element.isOpen() ? 0 : pass(bytes, 0);
      while (at < bytes.length) {
        const end = element.read(bytes, at);
        if (end === undefined) break;
        found.push(element.take());
        count += 1;
        at = pass(bytes, end);
      }
      return found;
    },
    end() {
      if (!element.isOpen() && !isInArray) return [];
      if (element.isOpen() && !element.isNested() && !isInArray) return [element.take()];
      const where = element.isOpen() ? `in the middle of element ${count + 1}` : `after element ${count}`;
      throw new Failure('malformed_body', `the JSON ends early, ${where}`);
    },
  };
}

/** The element that is being read. */
function createElement(bytesMax: number) {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let isOpen = false;
  let isNested = false;
  let depth = 0;
  let isInString = false;
  let isEscaped = false;

  const hold = (bytes: Buffer) => {
    heldBytes += bytes.length;
    if (heldBytes > bytesMax) held = [];
    else held.push(bytes);
  };
  const begin = (first: number) => {
    isOpen = true;
    isNested = first === openBrace || first === openBracket;
    depth = 0;
    isInString = false;
    isEscaped = false;
  };
  const readString = (byte: number) => {
    if (byte === quote && !isEscaped) isInString = false;
    isEscaped = byte === backslash && !isEscaped;
  };
  /** @returns Whether the last bracket or brace is closed by this byte. */
  const readNested = (byte: number): boolean => {
    if (byte === openBrace || byte === openBracket) depth += 1;
    if (byte === closeBrace || byte === closeBracket) depth -= 1;
    return depth === 0;
  };

  /** Whether this is the last byte of what is nested, or the one behind anything else. */
  const isEnd = (byte: number): boolean => {
    if (isInString) readString(byte);
    else if (byte === quote) isInString = true;
    else return isNested ? readNested(byte) : isEndOfScalar(byte);
    return false;
  };
  const findEnd = (bytes: Buffer, from: number): number | undefined => {
    for (let at = from; at < bytes.length; at += 1) {
      if (isEnd(bytes[at] ?? 0)) return isNested ? at + 1 : at;
    }
    return undefined;
  };

  return {
    isOpen: () => isOpen,
    isNested: () => isNested,
    /** Reads on from a place. @returns Where the element ends; undefined when it goes on in the next bytes. */
    read(bytes: Buffer, from: number): number | undefined {
      if (!isOpen) begin(bytes[from] ?? 0);
      const end = findEnd(bytes, from);
      hold(bytes.subarray(from, end));
      return end;
    },
    take(): Line {
      const isTooLong = heldBytes > bytesMax;
      const whole = held.length === 1 && held[0] ? held[0] : Buffer.concat(held);
      held = [];
      heldBytes = 0;
      isOpen = false;
      if (isTooLong) return tooLong(bytesMax);
      return isUtf8(whole) ? { text: whole.toString() } : notUtf8;
    },
  };
}

function isEndOfScalar(byte: number): boolean {
  return byte === comma || byte === closeBracket || byte === newline;
}
