// The output of tasks that run, which is shown where one fails. It goes when a task ends: of thousands, few fail.
import { cleanLine, saysNothing } from './state.ts';

export interface HeldLines {
  /** Begins anew, with no lines. */
  start(task: string): void;
  /** What says nothing is passed over, and all of a task that was not started. */
  add(task: string, line: string): void;
  /** The lines of a task that has ended, which are held no more. */
  take(task: string): string[];
  clear(): void;
}

/** Of each task at most so many lines; the last half of them in any case. `leftOut` is the line that says how many went before. */
export function holdLines(most: number, leftOut?: (lines: number) => string): HeldLines {
  const held = new Map<string, string[]>();
  // Shortened by half at a time: to drop one line at each new one would cost as much as the build.
  const half = Math.floor(most / 2);
  return {
    start: (task) => void held.set(task, []),
    add(task, raw) {
      const lines = held.get(task);
      const line = cleanLine(raw);
      if (!lines || saysNothing(line)) return;
      lines.push(line);
      if (lines.length > most) lines.splice(0, half, ...(leftOut ? [leftOut(half)] : []));
    },
    take(task) {
      const lines = held.get(task) ?? [];
      held.delete(task);
      return lines;
    },
    clear: () => held.clear(),
  };
}
