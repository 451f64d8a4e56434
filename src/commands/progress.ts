/** Often enough to look alive. */
const everyMs = 200;

const barWidth = 24;

/** What a stream must be to show progress on it. */
export type Terminal = Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean; readonly columns?: number };

/** One line that is written over and over. */
export interface Progress {
  /** @param share Between 0 and 1; undefined: nobody knows. */
  show(share: number | undefined, text: string): void;
  /** Leaves the line to others. */
  clear(): void;
}

/** Creates the line, on a terminal; elsewhere nothing is shown. */
export function createProgress(stream: Terminal): Progress {
  let shownAtMs = Number.NEGATIVE_INFINITY;
  if (!stream.isTTY) return { show: () => undefined, clear: () => undefined };
  return {
    show(share, text) {
      if (performance.now() - shownAtMs < everyMs) return;
      shownAtMs = performance.now();
      const line = share === undefined ? text : `${bar(share)} ${text}`;
      // A line that wraps could not be written over. Some terminals say that they have no columns.
      stream.write(`\r${line.slice(0, (stream.columns || 80) - 1)}\x1b[K`);
    },
    clear: () => void stream.write('\r\x1b[K'),
  };
}

function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * barWidth);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  return `[${'#'.repeat(full)}${'.'.repeat(barWidth - full)}]${percent}`;
}
