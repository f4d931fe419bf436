// The last words of a run, the same on a terminal and in a CI log: what was published, reused, failed and skipped.
import { unreachable } from '../failure.ts';
import { formatPlatform } from '../image/platform.ts';
import type { PublishTask } from '../plan/plan.ts';
import { formatDuration } from './duration.ts';
import { type RunState, type TaskState, type TaskStatus, taskName } from './state.ts';

/** Lines of the summary, its verdict last; empty while the run has not finished. */
export function summarize(state: RunState): string[] {
  const { finished } = state;
  if (!finished) return [];
  const published = publishedTasks(state);
  const lines = section('Published', published.map(publishedLine));
  lines.push(...section('Reused', names(state, 'reused')));
  lines.push(...section('Failed', names(state, 'failed')));
  lines.push(...section('Skipped', names(state, 'skipped')));
  if (finished.criticalPathMs > 0) {
    const path = finished.criticalPath.map((id) => shortName(state.tasks.get(id), id)).join(' → ');
    const ratio = (finished.wallMs / finished.criticalPathMs).toFixed(2);
    const critical = `critical path ${formatDuration(finished.criticalPathMs)}${path ? ` (${path})` : ''}`;
    lines.push(`wall ${formatDuration(finished.wallMs)}, ${critical}, ${ratio}x`);
  }
  return [...lines, verdict(state, finished, published)];
}

function verdict(
  state: RunState,
  finished: NonNullable<RunState['finished']>,
  published: { task: PublishTask }[],
): string {
  switch (finished.outcome) {
    case 'done': {
      const publishes = published.length > 0;
      const built = [...state.tasks.values()].flatMap(({ task }) => (task.kind === 'build' ? [task] : []));
      const images = publishes ? published.length : new Set(built.map(({ image }) => image)).size;
      const platforms = publishes
        ? published.flatMap(({ task }) => task.builds.map(({ platform }) => platform))
        : built.map(({ platform }) => platform);
      const many = new Set(platforms.map(formatPlatform)).size;
      const what = `${plural(images, 'image')} for ${plural(many, 'platform')}`;
      return `${publishes ? 'Published' : 'Built'} ${what} in ${formatDuration(finished.wallMs)}.`;
    }
    case 'failed': {
      const skipped = names(state, 'skipped').length;
      const failed = `Failed: ${names(state, 'failed').length} of ${plural(state.tasks.size, 'task')}`;
      return `${failed}${skipped > 0 ? `; ${skipped} skipped` : ''}.`;
    }
    case 'interrupted':
      return 'Interrupted; run the same command to go on.';
    default:
      return unreachable(finished.outcome);
  }
}

/** With `publish: family` a publish task can be done and its tags still not moved, when another image failed. */
function publishedTasks(state: RunState): { task: PublishTask; state: TaskState }[] {
  const whole = state.publish === 'image' || state.finished?.outcome === 'done';
  return [...state.tasks.values()].flatMap((each) => {
    if (each.task.kind !== 'publish' || (each.status !== 'done' && each.status !== 'reused')) return [];
    const { task } = each;
    const moved = task.tags.some((tag) => state.moved.some((move) => pointsAt(move.reference, task.repository, tag)));
    return whole || moved ? [{ task, state: each }] : [];
  });
}

/** Is `reference`, with or without a registry's host, this repository and tag? */
function pointsAt(reference: string, repository: string, tag: string): boolean {
  return reference === `${repository}:${tag}` || reference.endsWith(`/${repository}:${tag}`);
}

function publishedLine({ task, state }: { task: PublishTask; state: TaskState }): string {
  const tags = task.tags.map((tag) => `${task.repository}:${tag}`).join(', ');
  const platforms = task.builds.map(({ platform }) => formatPlatform(platform)).join(', ');
  return [tags || task.repository, state.digest && shortDigest(state.digest), platforms].filter(Boolean).join('  ');
}

function shortDigest(digest: string): string {
  const [algorithm, hex] = digest.split(':');
  return `${algorithm}:${hex?.slice(0, 12) ?? ''}`;
}

/** `base arm64`: the OS of a path of tasks is the same nearly always. */
function shortName(state: TaskState | undefined, id: string): string {
  if (!state) return id;
  const { task } = state;
  return task.kind === 'build'
    ? `${task.image} ${formatPlatform(task.platform).replace(/^linux\//, '')}`
    : taskName(task);
}

function names(state: RunState, status: TaskStatus): string[] {
  return [...state.tasks.values()]
    .filter((each) => each.status === status)
    .map(({ task, because }) => `${taskName(task)}${status === 'skipped' && because ? ` (${because})` : ''}`);
}

function section(title: string, items: string[]): string[] {
  return items.length === 0 ? [] : [`${title}:`, ...items.map((item) => `  ${item}`)];
}

function plural(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
