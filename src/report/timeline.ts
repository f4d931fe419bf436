// A schedule as a picture of text: a row a slot of each builder, time from left to right, as wide as the terminal.
import cliTruncate from 'cli-truncate';
import stringWidth from 'string-width';
import type { Task } from '../plan/plan.ts';
import type { Schedule, Step } from '../plan/simulate.ts';
import { formatDuration } from './duration.ts';
import { paint } from './paint.ts';
import { taskName } from './state.ts';

export interface TimelineOptions {
  color: boolean;
  columns: number;
  /** Rows of slots at most. */
  rows: number;
}

/** Narrower than this, nothing could be read off it. */
const narrowest = 10;

/** Lines of at most `columns` cells, the last one the scale; empty where no builder does anything. */
export function drawTimeline(
  { steps, wallMs, critical }: Schedule,
  tasks: ReadonlyMap<string, Task>,
  { color, columns, rows }: TimelineOptions,
): string[] {
  const onPath = new Set(critical.path);
  const bySlot = Map.groupBy(
    steps.filter(({ builder }) => builder !== undefined),
    ({ builder, slot }) => `${builder} ${slot}`,
  );
  const names = [...new Set(steps.flatMap(({ builder }) => builder ?? []))].sort();
  const slots = names.flatMap((name) => {
    const used: { label: string; steps: Step[] }[] = [];
    for (let slot = 0; ; slot += 1) {
      const found = bySlot.get(`${name} ${slot}`);
      if (!found) return used;
      used.push({ label: slot === 0 ? name : `  ${slot + 1}`, steps: found });
    }
  });
  if (slots.length === 0 || wallMs <= 0) return [];
  const shown = slots.slice(0, rows);
  const labelWidth = Math.min(
    Math.max(4, columns - narrowest - 3),
    Math.max(...shown.map(({ label }) => stringWidth(label))),
  );
  const width = Math.max(narrowest, columns - labelWidth - 3);
  const lines = shown.map(({ label, steps: own }) => {
    const short = cliTruncate(label, labelWidth);
    return `${short}${' '.repeat(labelWidth - stringWidth(short))} |${drawSlot(own, wallMs, width, { tasks, onPath, color })}|`;
  });
  const left = slots.length - shown.length;
  if (left > 0) lines.push(`${' '.repeat(labelWidth)} ${left} more ${left === 1 ? 'slot' : 'slots'}`);
  return [...lines, `${' '.repeat(labelWidth + 1)}${scale(wallMs, width + 2)}`];
}

interface Drawing {
  tasks: ReadonlyMap<string, Task>;
  onPath: ReadonlySet<string>;
  color: boolean;
}

function drawSlot(steps: Step[], wallMs: number, width: number, { tasks, onPath, color }: Drawing): string {
  const cell = (ms: number): number => Math.round((ms / wallMs) * width);
  let text = '';
  let at = 0;
  for (const { task, start, end, emulated } of steps) {
    const from = Math.max(at, cell(start));
    const wide = Math.max(0, cell(end) - from);
    if (wide === 0) continue;
    const critical = onPath.has(task);
    const known = tasks.get(task);
    const bar = drawBar(known ? taskLabel(known) : task, wide, critical ? '#' : '=');
    text += paint('dim', '.'.repeat(from - at), color);
    text += critical ? paint('bold', bar, color) : emulated ? paint('yellow', bar, color) : bar;
    at = from + wide;
  }
  return `${text}${paint('dim', '.'.repeat(width - at), color)}`;
}

/** `[app arm64===]`; of two cells `[]` is left, and of one the filling. */
function drawBar(label: string, wide: number, filling: string): string {
  if (wide < 2) return filling.repeat(wide);
  const room = wide - 2;
  const shown = room < 3 ? '' : cliTruncate(label, room, { truncationCharacter: '' });
  return `[${shown}${filling.repeat(room - stringWidth(shown))}]`;
}

/** Its beginning, middle and end, as far as there is room. */
function scale(wallMs: number, width: number): string {
  const begin = '0';
  const middle = formatDuration(wallMs / 2);
  const end = formatDuration(wallMs);
  if (begin.length + end.length + 1 > width) return end.padStart(width);
  const left = Math.floor((width - middle.length) / 2);
  const fits = left > begin.length && left + middle.length < width - end.length;
  return fits
    ? `${begin.padEnd(left)}${middle}`.padEnd(width - end.length) + end
    : begin.padEnd(width - end.length) + end;
}

/** `app arm64`: the OS of a path of tasks is the same nearly always. */
export function taskLabel(task: Task): string {
  return taskName(task).replace(/ linux\//, ' ');
}
