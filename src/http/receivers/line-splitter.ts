import { isUtf8 } from 'node:buffer';

/** Many times what a summary takes; what is longer is no line of summaries, and would have to be held in memory. */
export const lineBytesMax = 64 * 1_024;

const newline = 0x0a;

/** A line as text; undefined: it is no text, and `problem` says why. */
export interface Line {
  readonly text: string | undefined;
  readonly problem?: string;
}

/** Of a line that was not kept. */
export function tooLong(bytesMax: number): Line {
  return { text: undefined, problem: `is longer than ${bytesMax} bytes` };
}

/** Of a line that is no text. */
export const notUtf8: Line = { text: undefined, problem: 'is not UTF-8' };

/** Makes lines, or other parts that are read one by one, of bytes that come in pieces. */
export interface Splitter {
  /** What such a part is called. */
  readonly unit: 'line' | 'element';
  /** The parts that end in these bytes, without their ends. */
  push(bytes: Buffer): readonly Line[];
  /** The part that was never ended, if there is one. Throws the Failure of bytes that cannot end here. */
  end(): readonly Line[];
}

/** Creates a splitter that holds one line at most, and of one that is too long nothing. */
export function createLineSplitter(bytesMax = lineBytesMax): Splitter {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let isTooLong = false;

  const hold = (bytes: Buffer) => {
    heldBytes += bytes.length;
    isTooLong ||= heldBytes > bytesMax;
    if (isTooLong) held = [];
    else if (bytes.length > 0) held.push(bytes);
  };
  const release = (): Buffer => {
    const whole = held.length === 1 && held[0] ? held[0] : Buffer.concat(held);
    held = [];
    heldBytes = 0;
    isTooLong = false;
    return whole;
  };

  return {
    unit: 'line',
    push(bytes) {
      const end = bytes.lastIndexOf(newline);
      if (end === -1) {
        hold(bytes);
        return [];
      }
      const first = bytes.indexOf(newline);
      hold(bytes.subarray(0, first));
      const lines: Line[] = [];
      if (isTooLong) lines.push(tooLong(bytesMax));
      const begun = release();
      if (lines.length === 0) lines.push(...decode(begun, bytesMax));
      if (end > first) lines.push(...decode(bytes.subarray(first + 1, end), bytesMax));
      hold(bytes.subarray(end + 1));
      return lines;
    },
    end() {
      if (isTooLong) return [tooLong(bytesMax)];
      return heldBytes === 0 ? [] : decode(release(), bytesMax);
    },
  };
}

/** Whole lines. All at once where they are UTF-8, else each by itself, so that only what is not is lost. */
function decode(block: Buffer, bytesMax: number): Line[] {
  const toLine = (text: string): Line =>
    // No character has more than three bytes a unit: short lines need not be measured.
    text.length > bytesMax / 3 && Buffer.byteLength(text) > bytesMax ? tooLong(bytesMax) : { text };
  if (!isUtf8(block)) return splitBytes(block).map((bytes) => (isUtf8(bytes) ? toLine(bytes.toString()) : notUtf8));
  return block.toString().split('\n').map(toLine);
}

function splitBytes(block: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = block.indexOf(newline); end !== -1; end = block.indexOf(newline, start)) {
    lines.push(block.subarray(start, end));
    start = end + 1;
  }
  return [...lines, block.subarray(start)];
}
