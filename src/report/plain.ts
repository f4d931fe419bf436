// A run as a log that only grows, for CI and pipes: each line says which task it is of.
import { describeBuilders } from './builders.ts';
import { formatDuration } from './duration.ts';
import { explainFailure } from './explain.ts';
import { holdLines } from './held.ts';
import { paint, type Style } from './paint.ts';
import type { Output, Reporter } from './reporter.ts';
import { cleanLine, emptyState, notice, reduce, type TaskState, taskName } from './state.ts';
import { summarize } from './summary.ts';

export interface PlainOptions {
  color: boolean;
  /** Print output as it comes; else a task's whole output, and only when it fails. */
  verbose: boolean;
}

/** Lines of output held for a task that may yet fail. */
const mostHeld = 5000;

/** Never writes `\r`, and ANSI only with `color`. */
export function createPlainReporter(out: Output, { color, verbose }: PlainOptions): Reporter {
  let state = emptyState;
  let closed = false;
  /** Whole outputs of the tasks that run, when they are not printed live. */
  const held = holdLines(mostHeld, (lines) => `… ${lines} lines or more are left out here`);
  /** Tasks that are done or reused: to count them anew for each line would take longer than all else. */
  const over = new Set<string>();
  const print = (task: TaskState, text: string, style?: Style): void => {
    out.write(`${paint('cyan', `[${taskName(task.task)}]`, color)} ${style ? paint(style, text, color) : text}\n`);
  };
  return {
    event(event) {
      if (closed) return;
      // Most events are lines of output, by which nothing changes that is read here.
      if (event.type !== 'task-output') state = reduce(state, event);
      if (event.type === 'run-started') {
        const tasks = `${state.tasks.size} task${state.tasks.size === 1 ? '' : 's'}`;
        // Where all builds are there already, none is opened.
        const builders = state.builders.map(({ name }) => name).join(', ');
        out.write(`${state.family}: ${tasks}${builders && ` on ${builders}`}\n`);
        for (const line of describeBuilders(state.builders, color)) out.write(`${line}\n`);
      }
      if (event.type === 'run-finished') for (const line of summarize(state)) out.write(`${line}\n`);
      const task = 'task' in event && event.task !== undefined ? state.tasks.get(event.task) : undefined;
      const said = notice(event);
      if (said !== undefined) {
        if (task) print(task, said, 'yellow');
        else out.write(`${paint('yellow', said, color)}\n`);
      }
      if (!task) return;
      const id = task.task.id;
      switch (event.type) {
        case 'task-started': {
          held.start(id);
          const where = event.builder ? ` on ${event.builder}` : '';
          const again = event.attempt > 1 ? ` (attempt ${event.attempt})` : '';
          print(task, `started${where}${event.emulated ? ', emulated' : ''}${again}`);
          break;
        }
        case 'task-output':
          if (verbose) print(task, cleanLine(event.line));
          else held.add(id, event.line);
          break;
        case 'task-finished':
          held.take(id);
          over.add(id);
          print(task, `done in ${formatDuration(event.durationMs)}${progress()}`, 'green');
          break;
        case 'task-reused':
          held.take(id);
          over.add(id);
          print(task, `reused${progress()}`, 'green');
          break;
        case 'task-skipped':
          over.delete(id);
          print(task, `skipped: ${event.because}`, 'yellow');
          break;
        case 'task-failed': {
          over.delete(id);
          for (const line of explainFailure(task, held.take(id), color)) print(task, line);
          if (event.willRetry) print(task, 'will be tried again', 'yellow');
          break;
        }
      }
    },
    close() {
      closed = true;
      held.clear();
    },
  };

  function progress(): string {
    return ` (${over.size}/${state.tasks.size})`;
  }
}
