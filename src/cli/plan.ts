// `splitbuild plan`: the tasks of a run, in order.
import { formatPlatform } from '../image/platform.ts';
import { type FamilyOptions, interruptSignal, load, printFailure } from './load.ts';

export async function plan(images: string[], options: FamilyOptions): Promise<number> {
  const loaded = await load(images, options, interruptSignal());
  if (!loaded.ok) return printFailure(loaded.failure);
  const { tasks } = loaded.value.plan;
  if (options.json) {
    process.stdout.write(`${JSON.stringify(loaded.value.plan, undefined, 2)}\n`);
    return 0;
  }
  for (const task of tasks) {
    const what =
      task.kind === 'publish' ? `  → ${task.tags.join(', ')}` : task.mode === 'emulated' ? ' (may be emulated)' : '';
    process.stdout.write(`${task.id}${what}\n`);
    if (task.needs.length > 0) process.stdout.write(`    after ${task.needs.join(', ')}\n`);
  }
  const platforms = new Set(tasks.flatMap((task) => (task.kind === 'build' ? [formatPlatform(task.platform)] : [])));
  const count = tasks.filter((task) => task.kind === 'publish').length;
  process.stdout.write(`${tasks.length} tasks: ${count} images for ${[...platforms].join(', ')}.\n`);
  return 0;
}
