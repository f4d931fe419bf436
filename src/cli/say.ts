// Short answers to standard output.
import { writeSync } from 'node:fs';

/** At once, and without process.stdout, which takes longer to open than a small answer to get. */
export function say(text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(1, bytes, written);
  } catch (error) {
    // A pipe that is full, and was made not to block.
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    process.stdout.write(bytes.subarray(written));
  }
}
