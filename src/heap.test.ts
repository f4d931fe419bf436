import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHeap } from './heap.ts';

test('what is taken out comes in order, whatever was put in between', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer(), { nil: undefined })), (steps) => {
      const heap = createHeap<number>((a, b) => a < b);
      let sorted: number[] = [];
      for (const step of steps) {
        if (step === undefined) {
          expect(heap.peek()).toBe(sorted[0]);
          expect(heap.pop()).toBe(sorted[0]);
          sorted = sorted.slice(1);
        } else {
          heap.push(step);
          sorted = [...sorted, step].sort((a, b) => a - b);
        }
        expect(heap.size).toBe(sorted.length);
      }
    }),
  );
});
