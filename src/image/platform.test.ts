// Platforms, whatever is written: the normal form is the one that is written again.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { archSuffix, formatPlatform, normalizePlatform, parsePlatform, samePlatform } from './platform.ts';

const name = fc.oneof(
  fc.constantFrom('linux', 'windows', 'darwin', 'macOS', 'LINUX', 'freebsd'),
  fc.stringMatching(/^[A-Za-z0-9_.-]{1,8}$/),
);
const architecture = fc.oneof(
  fc.constantFrom(...['amd64', 'x86_64', 'X86-64', 'arm', 'ARM64', 'aarch64', 'armhf', 'armel', 'armv7l', 'armv6l']),
  fc.constantFrom('386', 'i386', 'riscv64', 's390x', 'ppc64le', 'loong64'),
  fc.stringMatching(/^[A-Za-z0-9_.-]{1,8}$/),
);
const variant = fc.option(
  fc.oneof(
    fc.constantFrom('v1', 'v2', 'v3', 'v5', 'v6', 'V7', 'v8', '5', '6', '7', '8', 'v9', ''),
    fc.stringMatching(/^[A-Za-z0-9_.-]{1,5}$/),
  ),
  { nil: undefined },
);
const platform = fc.record({ os: name, architecture, variant });

test('normalising twice is normalising once', () => {
  fc.assert(
    fc.property(platform, (written) => {
      const once = normalizePlatform(written);
      expect(normalizePlatform(once)).toEqual(once);
      expect(samePlatform(written, once)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test('what is written of a platform is read as the same platform, and has one suffix', () => {
  fc.assert(
    fc.property(platform, (written) => {
      const text = formatPlatform(written);
      const read = parsePlatform(text);
      expect(read).toEqual({ ok: true, value: normalizePlatform(written) });
      expect(read.ok && formatPlatform(read.value)).toBe(text);
      // An arch tag ends in it (distribution-spec, pull: tags).
      expect(`t-${archSuffix(written)}`).toMatch(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/);
    }),
    { numRuns: 1000 },
  );
});

test('any text is a platform or a failure with words, and what is accepted has the parts that it was written with', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc
      .array(fc.constantFrom('linux', 'arm64', '/', '//', ' ', 'v8', '-', '\n', '__proto__', 'constructor'), {
        maxLength: 6,
      })
      .map((all) => all.join('')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const read = parsePlatform(text);
      if (!read.ok) expect(read.failure).toMatchObject({ kind: 'usage', help: expect.any(String) });
      else {
        expect(text.trim()).toMatch(/^[\w.-]+(\/[\w.-]+){0,2}$/);
        expect(parsePlatform(formatPlatform(read.value))).toEqual(read);
      }
    }),
    { numRuns: 300 },
  );
});
