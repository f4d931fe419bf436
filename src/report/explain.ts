// A task's failure as a block of text: what failed, the end of its log, and the explanation.
import type { Failure } from '../failure.ts';
import { formatDuration } from './duration.ts';
import { paint } from './paint.ts';
import { type TaskState, taskName } from './state.ts';

/** `log` is what to show of the output. The failure's own log is left out: it is the end of the same output. */
export function explainFailure(state: TaskState, log: string[], color: boolean): string[] {
  const took = state.durationMs === undefined ? '' : ` after ${formatDuration(state.durationMs)}`;
  const lines = [paint('red', `✖ ${taskName(state.task)} failed${took}`, color)];
  const { failure } = state;
  const own = failure?.kind === 'build' ? failure.log : [];
  lines.push(...(log.length > 0 ? log : own).map((line) => `  ${paint('dim', line, color)}`));
  if (failure) lines.push(...formatFailure(failure.kind === 'build' ? { ...failure, log: [] } : failure).split('\n'));
  return lines;
}

function formatFailure(failure: Failure): string {
  if (failure.kind === 'cancelled') return 'interrupted';
  if (failure.kind === 'diagnostics') return failure.diagnostics.map(({ message }) => message).join('\n');
  const lines = [failure.message];
  if (failure.where) lines.push(`  at ${failure.where}`);
  for (const tried of failure.tried ?? []) lines.push(`  tried: ${tried}`);
  if (failure.help) lines.push(`  help: ${failure.help}`);
  return lines.join('\n');
}
