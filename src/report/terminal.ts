// A run on a terminal: a live area that is redrawn in place, failures above it, the summary at the end.
import { createLogUpdate } from 'log-update';
import { describeBuilders } from './builders.ts';
import { explainFailure } from './explain.ts';
import { holdLines } from './held.ts';
import type { Reporter } from './reporter.ts';
import { drawScreen } from './screen.ts';
import { emptyState, notice, reduce } from './state.ts';
import { summarize } from './summary.ts';

export interface TerminalOptions {
  color: boolean;
  /** Milliseconds since the epoch. */
  now: () => number;
  /** Size of the terminal in cells; asked at each redraw, as windows are resized. */
  columns: () => number;
  rows: () => number;
}

const redrawMs = 100;
const logLines = 20;

/** Redraws at most ten times a second. `close` gives the cursor back; nothing is written after it. */
export function createTerminalReporter(stream: NodeJS.WritableStream, options: TerminalOptions): Reporter {
  const update = createLogUpdate(stream);
  let state = emptyState;
  let closed = false;
  const held = holdLines(2 * logLines);
  const draw = (): void => {
    if (state.tasks.size === 0 || state.finished) return;
    // The last column and the last row stay free: a terminal wraps or scrolls when they are written.
    const size = { columns: Math.max(1, options.columns() - 1), rows: Math.max(1, options.rows() - 1) };
    update(drawScreen(state, { color: options.color, now: options.now(), ...size }).join('\n'));
  };
  const timer = setInterval(draw, redrawMs);
  timer.unref();
  return {
    event(event) {
      if (closed) return;
      state = reduce(state, event);
      if (event.type === 'run-started') update.persist(describeBuilders(state.builders, options.color).join('\n'));
      const said = notice(event);
      if (said !== undefined) update.persist(said);
      switch (event.type) {
        case 'task-started':
          held.start(event.task);
          break;
        case 'task-output':
          held.add(event.task, event.line);
          break;
        case 'task-reused':
        case 'task-finished':
          held.take(event.task);
          break;
        case 'task-failed': {
          const lines = held.take(event.task).slice(-logLines);
          const task = state.tasks.get(event.task);
          if (!task) return;
          const text = explainFailure(task, lines, options.color);
          if (event.willRetry) text.push('  will be tried again');
          update.persist(text.join('\n'));
          break;
        }
      }
    },
    close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      update.clear();
      update.done();
      const lines = summarize(state);
      if (lines.length > 0) stream.write(`${lines.join('\n')}\n`);
    },
  };
}
