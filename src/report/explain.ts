// A task's failure as a block of text: what failed, the end of its log, and the explanation.
import { formatFailure } from './diagnostic.ts';
import { formatDuration } from './duration.ts';
import { paint } from './paint.ts';
import { type TaskState, taskName } from './state.ts';

/** `log` is what to show of the output. The failure's own log is left out: it is the end of the same output. */
export function explainFailure(state: TaskState, log: string[], color: boolean): string[] {
  const took = state.durationMs === undefined ? '' : ` after ${formatDuration(state.durationMs)}`;
  const lines = [paint('red', `✖ ${taskName(state.task)} failed${took}`, color)];
  const { failure } = state;
  const own = failure && 'log' in failure ? failure.log : [];
  lines.push(...(log.length > 0 ? log : own).map((line) => `  ${paint('dim', line, color)}`));
  if (failure)
    lines.push(
      ...formatFailure('log' in failure ? { ...failure, log: [] } : failure, { color })
        .trimEnd()
        .split('\n'),
    );
  return lines;
}
