// What a process that may die holds of the world outside of it: once it is dead, no answer comes to it any more.
import { ok, type Result } from '../../src/failure.ts';
import type { Fleet } from '../../src/fleet/fleet.ts';

/** `alive` gives what a promise does while the process lives, and nothing after. */
export function guard<T extends object>(target: T, alive: <V>(value: Promise<V>) => Promise<V>): T {
  return new Proxy(target, {
    get(of, key, receiver) {
      const value: unknown = Reflect.get(of, key, receiver);
      return typeof value === 'function'
        ? (...args: unknown[]) => alive(Promise.resolve(value.apply(of, args)))
        : value;
    },
  });
}

export function guardFleet(fleet: Fleet, alive: <V>(value: Promise<V>) => Promise<V>): Fleet {
  return {
    ...fleet,
    acquire: async (...args) => {
      const lease: Result<Awaited<ReturnType<Fleet['acquire']>> extends Result<infer L> ? L : never> = await alive(
        fleet.acquire(...args),
      );
      if (!lease.ok) return lease;
      const { builder } = lease.value;
      return ok({
        ...lease.value,
        builder: { ...builder, engine: guard(builder.engine, alive) },
        release: (suspect) => alive(lease.value.release(suspect)),
      });
    },
  };
}
