import { fstatSync, writeSync } from 'node:fs';

/** Whoever reads the output has closed it: nothing more can be printed. */
export class OutputClosedError extends Error {
  /** The exit code that says so: that of a program which SIGPIPE ends, to a shell. */
  static readonly exitCode = 141;

  constructor() {
    super('broken off: whoever reads the output has closed it');
  }
}

const output = 1;

/**
 * Writes to the standard output. Resolves when the system has taken all of it.
 *
 * @throws OutputClosedError when nobody reads it any more; Error when it cannot be written, such as on a full disk.
 */
export async function print(text: string): Promise<void> {
  try {
    // What a full disk takes only in part, a stream of Node's would take for written.
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
