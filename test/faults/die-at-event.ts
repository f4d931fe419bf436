// Loaded into splitbuild by `node --import`: kills it, as SIGKILL does, at a chosen event of its journal. From outside it can't be hit
// so exactly: between an event and the next there may be less than a millisecond.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

// `3/torn/events/group`: the number from 1; before, torn or after; events (output aside) or lines; group or alone.
const [number = '', moment, count, reach] = (process.env.FAULTS_DIE_AT ?? '').split('/');
const at = Number(number);
let written = 0;

function die(): void {
  process.kill(reach === 'group' ? -process.pid : process.pid, 'SIGKILL');
}

/** How many of the journal's events the text has; 0 for anything else. */
function eventsIn(text: string): number {
  if (!text.startsWith('{"') || !text.endsWith('}\n')) return 0;
  const lines = text.trimEnd().split('\n');
  return lines.filter((line) => line.includes('"type":') && (count === 'lines' || !line.includes('"task-output"')))
    .length;
}

function isJournal(file: number): boolean {
  try {
    return fs.readlinkSync(`/proc/self/fd/${file}`).endsWith('.jsonl');
  } catch {
    return false;
  }
}

const writeSync = fs.writeSync.bind(fs);
const watched = (file: number, data: string | NodeJS.ArrayBufferView, ...rest: unknown[]): number => {
  const text = typeof data === 'string' ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString();
  const events = isJournal(file) ? eventsIn(text) : 0;
  written += events;
  if (events > 0 && written >= at) {
    if (moment === 'before') die();
    if (moment === 'torn') {
      writeSync(file, text.slice(0, Math.ceil(text.length / 2)));
      die();
    }
    writeSync(file, text);
    die();
  }
  return Reflect.apply(writeSync, fs, [file, data, ...rest]) as number;
};
if (at > 0) {
  Object.assign(fs, { writeSync: watched });
  syncBuiltinESMExports();
}
