// So many pieces of work at a time, the others in the order in which they came.
import { fail, type Result } from '../failure.ts';

export interface Turns {
  /** Runs `work` once there is room; not at all where the signal is aborted before. */
  take<T>(work: () => Promise<Result<T>>, signal: AbortSignal): Promise<Result<T>>;
}

export function createTurns(width: number): Turns {
  let active = 0;
  const waiting: (() => void)[] = [];
  return {
    take: async (work, signal) => {
      // Whoever leaves hands the place on, so that nobody comes in between.
      if (active < width) active += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return signal.aborted ? fail({ kind: 'cancelled' }) : await work();
      } finally {
        const next = waiting.shift();
        if (next) next();
        else active -= 1;
      }
    },
  };
}
