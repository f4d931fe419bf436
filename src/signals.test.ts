// A signal of several: aborted with the first, and gone without a trace.
import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { onAbort, underAny } from './signals.ts';

test('work is told of the first that is aborted, and why', async () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const reason = await underAny([one.signal, other.signal], async (signal) => {
    expect(signal.aborted).toBe(false);
    other.abort('the other');
    one.abort('too late');
    return signal.reason;
  });
  expect(reason).toBe('the other');
});

test('work under what is aborted already begins aborted', async () => {
  const never = new AbortController().signal;
  const signal = await underAny([never, AbortSignal.abort('before')], async (given) => given);
  expect([signal.aborted, signal.reason]).toEqual([true, 'before']);
});

test('a signal that outlives the work keeps nothing of it, however the work ends', async () => {
  const { signal } = new AbortController();
  await underAny([signal, AbortSignal.abort()], async () => undefined);
  await expect(underAny([signal], () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('thousands wait at one signal with one listener, and who went is not called', () => {
  const aborting = new AbortController();
  const called: number[] = [];
  const leave = Array.from({ length: 5000 }, (_, number) => onAbort(aborting.signal, () => called.push(number)));
  expect(getEventListeners(aborting.signal, 'abort')).toHaveLength(1);
  for (const off of leave.slice(0, 4998)) off();
  aborting.abort();
  expect(called).toEqual([4998, 4999]);
});
