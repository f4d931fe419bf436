// A binary heap: the first of many in O(log n). Clocks keep their sleepers in it, schedulers their waiters.

export interface Heap<T> {
  readonly size: number;
  push(item: T): void;
  /** The first, left where it is. */
  peek(): T | undefined;
  /** The first, taken out. */
  pop(): T | undefined;
}

/** `before` is a strict order: where neither is before the other, either may come first. */
export function createHeap<T>(before: (a: T, b: T) => boolean): Heap<T> {
  const items: T[] = [];

  function swap(a: number, b: number): void {
    const [one, other] = [items[a] as T, items[b] as T];
    items[a] = other;
    items[b] = one;
  }

  /** Whether both are there and the first of them comes before the second. */
  function precedes(a: number, b: number): boolean {
    return a < items.length && b < items.length && before(items[a] as T, items[b] as T);
  }

  return {
    get size() {
      return items.length;
    },
    push(item) {
      items.push(item);
      for (let at = items.length - 1; at > 0; ) {
        const parent = (at - 1) >> 1;
        if (!precedes(at, parent)) return;
        swap(at, parent);
        at = parent;
      }
    },
    peek: () => items[0],
    pop() {
      if (items.length > 1) swap(0, items.length - 1);
      const first = items.pop();
      for (let at = 0; ; ) {
        const left = 2 * at + 1;
        const child = precedes(left + 1, left) ? left + 1 : left;
        if (!precedes(child, at)) return first;
        swap(at, child);
        at = child;
      }
    },
  };
}
