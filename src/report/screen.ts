// The live area of a terminal, drawn from a run's state alone, so that a test can compare whole screens.
import cliTruncate from 'cli-truncate';
import stringWidth from 'string-width';
import { formatDuration } from './duration.ts';
import { paint, type Style } from './paint.ts';
import { count, type RunState, type TaskState, type TaskStatus, taskName } from './state.ts';

export interface ScreenOptions {
  color: boolean;
  /** Milliseconds since the epoch. */
  now: number;
  columns: number;
  rows: number;
}

const symbols: Record<TaskStatus, { symbol: string; style: Style }> = {
  waiting: { symbol: '·', style: 'dim' },
  running: { symbol: '▶', style: 'cyan' },
  done: { symbol: '✔', style: 'green' },
  reused: { symbol: '↺', style: 'green' },
  failed: { symbol: '✖', style: 'red' },
  skipped: { symbol: '○', style: 'yellow' },
};
const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** At most `rows` lines of at most `columns` cells. What has ended folds first, then what waits, then the last lines. */
export function drawScreen(state: RunState, options: ScreenOptions): string[] {
  const tasks = [...state.tasks.values()];
  const widest = Math.max(0, ...tasks.map(({ task }) => stringWidth(taskName(task))));
  const nameWidth = Math.min(widest, Math.max(8, options.columns - 2 - barWidth(options.columns) - 20));
  const draw = (shown: TaskStatus[], lastLines: boolean): string[] => {
    const folded = (Object.keys(symbols) as TaskStatus[]).filter((status) => !shown.includes(status));
    const counts = folded.filter((status) => count(state, status) > 0).map((s) => `${count(state, s)} ${s}`);
    const lines = [header(state, options), ...(counts.length > 0 ? [`  ${counts.join(', ')}`] : [])];
    for (const task of tasks) {
      if (!shown.includes(task.status)) continue;
      lines.push(row(task, nameWidth, options));
      if (lastLines && task.status === 'running' && task.lastLine) {
        lines.push(paint('dim', clip(`    ${task.lastLine}`, options.columns), options.color));
      }
    }
    return lines.map((line) => clip(line, options.columns));
  };
  const attempts: [TaskStatus[], boolean][] = [
    [['waiting', 'running', 'done', 'reused', 'failed', 'skipped'], true],
    [['waiting', 'running', 'failed'], true],
    [['running', 'failed'], true],
    [['running', 'failed'], false],
    [['running'], false],
  ];
  for (const [shown, lastLines] of attempts) {
    const lines = draw(shown, lastLines);
    if (lines.length <= options.rows) return lines;
  }
  const lines = draw(['running'], false);
  const kept = Math.max(0, options.rows - 1);
  return [...lines.slice(0, kept), `  … ${lines.length - kept} more`].slice(0, options.rows);
}

function header(state: RunState, { color, now }: ScreenOptions): string {
  const ended = count(state, 'done') + count(state, 'reused');
  const elapsed = state.started === undefined ? '' : `  ${formatDuration(now - state.started)}`;
  const builders = state.builders.map(({ name }) => name).join(', ');
  return `${paint('bold', state.family, color)}  ${ended}/${state.tasks.size} tasks${elapsed}${builders && `  on ${builders}`}`;
}

function row(task: TaskState, nameWidth: number, { color, now, columns }: ScreenOptions): string {
  const { symbol, style } = symbols[task.status];
  const running = task.status === 'running';
  const elapsed = running ? now - (task.started ?? now) : task.durationMs;
  const spins = running && task.lastDurationMs === undefined;
  const sign = spins ? (spinner[Math.floor(now / 100) % spinner.length] ?? symbol) : symbol;
  const cells = [
    paint(style, sign, color),
    pad(clip(taskName(task.task), nameWidth), nameWidth),
    running ? bar(elapsed ?? 0, task.lastDurationMs, barWidth(columns)) : ' '.repeat(barWidth(columns)),
    (task.status === 'waiting' || elapsed === undefined ? '' : formatDuration(elapsed)).padStart(
      columns >= 60 ? 10 : 7,
    ),
  ];
  if (task.emulated) cells.push(paint('yellow', 'emulated', color));
  if (running && task.builder) cells.push(`on ${task.builder}`);
  if (task.status === 'waiting' && task.attempt > 0) cells.push(paint('yellow', 'to be tried again', color));
  return cells.join(' ').trimEnd();
}

/** Against what the task took last; full when it takes longer. */
function bar(elapsedMs: number, lastMs: number | undefined, width: number): string {
  if (lastMs === undefined || lastMs <= 0) return ' '.repeat(width);
  const full = Math.min(width, Math.max(0, Math.floor((elapsedMs / lastMs) * width)));
  return '█'.repeat(full) + '░'.repeat(width - full);
}

function barWidth(columns: number): number {
  return columns >= 100 ? 20 : columns >= 60 ? 10 : 4;
}

function clip(text: string, columns: number): string {
  return stringWidth(text) <= columns ? text : cliTruncate(text, columns);
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - stringWidth(text)));
}
