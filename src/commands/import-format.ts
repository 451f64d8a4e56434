import { createJsonSplitter } from '../http/receivers/json-splitter.ts';
import { createLineSplitter, lineBytesMax, type Splitter } from '../http/receivers/line-splitter.ts';

/** How a text of summaries is read, or what it is instead. */
export type ImportFormat = { readonly splitter: Splitter } | { readonly problem: string };

/** A sketch with all bins that there are takes 2.7 MB, and what is exported can be imported. */
const bytesMax = 4 * 1_024 * 1_024;

/** What files begin with that are no text of summaries. */
const beginnings: readonly (readonly [beginning: string, what: string])[] = [
  ['\x1f\x8b', 'is compressed twice'],
  ['\x28\xb5\x2f\xfd', 'is compressed with zstd'],
  ['\xfd7zXZ', 'is compressed with xz'],
  ['BZh', 'is compressed with bzip2'],
  ['PK\x03\x04', 'is a zip archive'],
  ['PAR1', 'is Parquet'],
  ['\xff\xfe', 'is UTF-16, not UTF-8'],
  ['\xfe\xff', 'is UTF-16, not UTF-8'],
  ['<', 'is HTML or XML'],
];

/** Columns that a table of metrics is likely to have. */
const knownColumn = /^"?(name|metric|bucket|time|timestamp|date|count|mean|value)"?$/i;

/** True for bytes that are gzip, or of which too few are there to say that they are not. */
export function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && (head.length === 1 || head[1] === 0x8b);
}

/** True when bytes are enough to tell their format. */
export function isTelling(head: Buffer): boolean {
  return head.length > lineBytesMax || /\S.*\n/.test(head.toString('latin1'));
}

/** The format of a text by its beginning. */
export function formatOf(head: Buffer): ImportFormat {
  const bytes = head.toString('latin1');
  const [, what] = beginnings.find(([beginning]) => bytes.startsWith(beginning)) ?? [];
  if (what !== undefined) return { problem: what };
  if (bytes.includes('\0')) return { problem: 'is binary' };
  const text = head
    .toString()
    .replace(/^\uFEFF/, '')
    .trimStart();
  const [first = '', second] = text.split('\n', 2).map((line) => line.trim());
  if (isTable(first, second)) return { problem: 'is CSV' };
  // Each line of NDJSON is whole; what is printed over several lines is not.
  const isJson = first.startsWith('[') || first === '{';
  return { splitter: isJson ? createJsonSplitter(bytesMax) : createLineSplitter(bytesMax) };
}

/** Rows of the same number of cells; of a single one, the names of columns. */
function isTable(first: string, second: string | undefined): boolean {
  if (!/^["\w]/.test(first) || second?.startsWith('{')) return false;
  return [',', ';', '\t'].some((delimiter) => {
    const cells = cellsOf(first, delimiter);
    const isHead = cells.some((cell) => knownColumn.test(cell.trim()));
    return cells.length > 1 && (second ? cellsOf(second, delimiter).length === cells.length : isHead);
  });
}

function cellsOf(row: string, delimiter: string): string[] {
  // What is quoted may hold delimiters.
  return row.replace(/"[^"]*"/g, (quoted) => quoted.replaceAll(delimiter, '')).split(delimiter);
}
