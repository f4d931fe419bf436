// Work on many things, so many at a time.
import { type Failure, fail, ok, type Result } from './failure.ts';

/** The values in the order of the items, or the first failure; after one no other item is begun, and those under way are awaited. */
export async function inLanes<T, U>(
  lanes: number,
  items: readonly T[],
  work: (item: T) => Promise<Result<U>>,
): Promise<Result<U[]>> {
  const values: U[] = new Array(items.length);
  const waiting = items.entries();
  let failure: Failure | undefined;
  const lane = async (): Promise<void> => {
    for (const [at, item] of waiting) {
      const done = await work(item);
      if (done.ok) values[at] = done.value;
      else failure ??= done.failure;
      if (failure) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
  return failure ? fail(failure) : ok(values);
}
