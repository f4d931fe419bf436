// Events as JSON lines, for machines.
import type { Output, Reporter } from './reporter.ts';

/** Writes each event as one line of JSON. */
export function createJsonReporter(out: Output): Reporter {
  let closed = false;
  return {
    event(event) {
      if (!closed) out.write(`${JSON.stringify(event)}\n`);
    },
    close() {
      closed = true;
    },
  };
}
