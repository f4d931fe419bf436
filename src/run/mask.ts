// Keeps the values of secrets out of everything that a run says: its events go to the journal, to logs and to screens.
import type { Emit, Event } from './event.ts';

/** Shorter ones would blank out half of a log, and hide nothing. */
const shortest = 4;

/** Writes `***` for each value, and for each line of one that has several. */
export function maskValues(values: string[]): (text: string) => string {
  const secrets = [...new Set(values.flatMap((value) => [value, ...value.split(/\r?\n/)].map((part) => part.trim())))]
    .filter((value) => value.length >= shortest && value !== 'true' && value !== 'false')
    .sort((a, b) => b.length - a.length);
  return (text) => secrets.reduce((masked, secret) => masked.replaceAll(secret, '***'), text);
}

/** An emitter whose events are masked. */
export function maskSecrets(emit: Emit, values: string[]): Emit {
  if (values.length === 0) return emit;
  const mask = maskValues(values);
  return (event) => {
    if (event.type === 'task-output') emit({ ...event, line: mask(event.line) });
    else if (event.type === 'task-failed') emit(maskFailure(event, mask));
    else emit(event);
  };
}

function maskFailure(event: Extract<Event, { type: 'task-failed' }>, mask: (text: string) => string): Event {
  const { failure } = event;
  if (failure.kind === 'cancelled' || failure.kind === 'diagnostics') return event;
  return {
    ...event,
    failure: {
      ...failure,
      message: mask(failure.message),
      ...(failure.tried ? { tried: failure.tried.map(mask) } : {}),
      ...('log' in failure ? { log: failure.log.map(mask) } : {}),
    },
  };
}
