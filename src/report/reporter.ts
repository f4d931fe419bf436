// What every reporter is: a reader of a run's events that is closed once.
import type { Event } from '../run/event.ts';

export interface Reporter {
  event(event: Event): void;
  /** Prints what is still held back and gives the terminal back; events after it are ignored. */
  close(): void;
}

/** The part of a stream that reporters need. */
export interface Output {
  write(text: string): unknown;
}
