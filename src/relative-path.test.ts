import { relative } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { relativePath } from './relative-path.ts';

test('it is what node says', () => {
  const path = fc.array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  fc.assert(
    fc.property(path, path, (from, to) => {
      expect(relativePath(from, to)).toBe(relative(from, to));
    }),
  );
});
