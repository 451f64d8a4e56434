import { createJsonSplitter } from '../http/receivers/json-splitter.ts';
import { createLineSplitter, lineBytesMax, type Splitter } from '../http/receivers/line-splitter.ts';

/** How to split the text into summaries, or what it is instead of summaries. */
export type ImportFormat = { readonly splitter: Splitter } | { readonly problem: string };

/** The largest possible sketch takes 2.7 MB, and everything that is exported can be imported. */
const bytesMax = 4 * 1_024 * 1_024;

/** First bytes of files that are not summaries. */
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

/** Typical columns of a table of metrics. */
const knownColumn = /^"?(name|metric|bucket|time|timestamp|date|count|mean|value)"?$/i;

/** True for the first bytes of gzip, also when only one byte is there. */
export function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && (head.length === 1 || head[1] === 0x8b);
}

/** True when there are enough bytes to tell the format. */
export function isTelling(head: Buffer): boolean {
  return head.length > lineBytesMax || /\S.*\n/.test(head.toString('latin1'));
}

/** Tells the format from the beginning of a text. */
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
  // A line of NDJSON is a whole object; "{" alone begins one that is printed over several lines.
  const isJson = first.startsWith('[') || first === '{';
  return { splitter: isJson ? createJsonSplitter(bytesMax) : createLineSplitter(bytesMax) };
}

/** True when the first two rows have the same number of cells, or when the only row names known columns. */
function isTable(first: string, second: string | undefined): boolean {
  if (!/^["\w]/.test(first) || second?.startsWith('{')) return false;
  return [',', ';', '\t'].some((delimiter) => {
    const cells = cellsOf(first, delimiter);
    const isHead = cells.some((cell) => knownColumn.test(cell.trim()));
    return cells.length > 1 && (second ? cellsOf(second, delimiter).length === cells.length : isHead);
  });
}

function cellsOf(row: string, delimiter: string): string[] {
  // Quoted cells may contain delimiters.
  return row.replace(/"[^"]*"/g, (quoted) => quoted.replaceAll(delimiter, '')).split(delimiter);
}
