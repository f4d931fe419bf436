// What a journal tells of how long tasks took, and where.
import type { Sample } from '../plan/learn.ts';
import type { Event } from './event.ts';

/** One for each task that a builder did to its end, in their order. */
export function samplesOf(events: Iterable<Event>): Sample[] {
  const begun = new Map<string, { builder: string; emulated: boolean }>();
  const samples: Sample[] = [];
  for (const event of events) {
    if (event.type === 'task-started' && event.builder !== undefined)
      begun.set(event.task, { builder: event.builder, emulated: event.emulated ?? false });
    const where = event.type === 'task-finished' ? begun.get(event.task) : undefined;
    if (event.type === 'task-finished' && where)
      samples.push({ task: event.task, ...where, durationMs: event.durationMs });
  }
  return samples;
}
