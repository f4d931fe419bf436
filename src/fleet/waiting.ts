// The tasks that wait for a builder, most urgent first. Those that the same builders could take wait in one queue, so that nobody looks
// at thousands of waiters to find the next.
import type { Result } from '../failure.ts';
import { createHeap, type Heap } from '../heap.ts';
import type { Platform } from '../image/platform.ts';
import type { Lease, Mode, Wishes } from './fleet.ts';

export interface Waiter {
  platform: Platform;
  mode: Mode;
  /** Platform and mode as a text, made once. */
  kind: string;
  wishes: Wishes;
  /** With what it waited for, or why it gave up. */
  end(result: Result<Lease>): void;
}

export interface Waiting {
  readonly size: number;
  add(waiter: Waiter): void;
  /** Of one that gave up. */
  remove(waiter: Waiter): void;
  all(): Iterable<Waiter>;
  /**
   * Takes out the most urgent. `bonus` is asked of the first of each queue, and stands for the others in it: ms that it counts as more
   * urgent than its priority says, or undefined where it can't be served now.
   */
  next(bonus: (waiter: Waiter) => number | undefined): Waiter | undefined;
}

interface Placed {
  waiter: Waiter;
  priority: number;
  order: number;
}

export function createWaiting(): Waiting {
  const queues = new Map<string, Heap<Placed>>();
  const here = new Set<Waiter>();
  let order = 0;

  /** The first of a queue who is still there. */
  function first(queue: Heap<Placed>): Placed | undefined {
    for (let head = queue.peek(); head; head = queue.peek()) {
      if (here.has(head.waiter)) return head;
      queue.pop();
    }
    return undefined;
  }

  return {
    get size() {
      return here.size;
    },
    add(waiter) {
      order += 1;
      here.add(waiter);
      const key = queueOf(waiter);
      const queue = queues.get(key) ?? createHeap<Placed>(isBefore);
      queues.set(key, queue);
      queue.push({ waiter, priority: waiter.wishes.priority ?? 0, order });
    },
    remove: (waiter) => void here.delete(waiter),
    all: () => [...here],
    next(bonus) {
      let best: { placed: Placed; raised: number; queue: Heap<Placed> } | undefined;
      for (const [key, queue] of queues) {
        const placed = first(queue);
        if (!placed) queues.delete(key);
        const extra = placed && bonus(placed.waiter);
        if (!placed || extra === undefined) continue;
        const raised = placed.priority + extra;
        const more = best ? raised - best.raised || best.placed.order - placed.order : 1;
        if (more > 0) best = { placed, raised, queue };
      }
      if (!best) return undefined;
      best.queue.pop();
      here.delete(best.placed.waiter);
      return best.placed.waiter;
    },
  };
}

/** Of two that are as urgent, who came first. */
function isBefore(a: Placed, b: Placed): boolean {
  return a.priority > b.priority || (a.priority === b.priority && a.order < b.order);
}

/** Names of builders have no line ends. */
function queueOf({ kind, wishes: { avoid = '', prefer = '' } }: Waiter): string {
  return `${kind}\n${avoid}\n${prefer}`;
}
