import { fstatSync, writeSync } from 'node:fs';

/** The reader of the output has closed it: nothing more can be printed. */
export class OutputClosedError extends Error {
  /** What a shell reports of a program that SIGPIPE ended: 128 + 13. */
  static readonly exitCode = 141;

  constructor() {
    super('broken off: the reader of the output has closed it');
  }
}

const output = 1;

/**
 * Writes to the standard output. Resolves when the system has taken all of it.
 *
 * @throws OutputClosedError when the reader has closed it; Error when it cannot be written, for example to a full disk.
 */
export async function print(text: string): Promise<void> {
  try {
    // A full disk accepts part of a write, and a stream of Node would count that as all of it.
    if (fstatSync(output).isFile()) writeAll(Buffer.from(text));
    else await writeToStream(text);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED') throw new OutputClosedError();
    const reason = error instanceof Error ? error.message.replace(/, write$/, '') : String(error);
    throw new Error(`the output cannot be written: ${reason}`);
  }
}

function writeAll(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(output, bytes, at);
}

function writeToStream(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
  });
}
