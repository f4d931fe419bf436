// References against the grammar of distribution/reference (reference.go, regexp.go, normalize.go): what it makes is read, and what is read
// it makes.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cpuMs } from '../testing.ts';
import { formatReference, parseReference } from './reference.ts';

const lower = [...'abcdefghijklmnopqrstuvwxyz0123456789'];
const letters = [...lower, ...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const text = (unit: fc.Arbitrary<string>, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.array(unit, { minLength, maxLength }).map((all) => all.join(''));
const of = (chars: string[]): fc.Arbitrary<string> => fc.constantFrom(...chars);

const alphanumeric = text(of(lower), 1, 5);
const separator = fc.constantFrom('.', '_', '__', '-', '--', '-----');
const component = fc
  .tuple(alphanumeric, fc.array(fc.tuple(separator, alphanumeric), { maxLength: 2 }))
  .map(([first, rest]) => first + rest.flat().join(''));
const hostPart = fc
  .tuple(text(of(letters), 1, 3), text(of([...letters, '-']), 0, 3), text(of(letters), 1, 2))
  .map((all) => all.join(''));
const port = fc.integer({ min: 0, max: 65535 }).map((number) => `:${number}`);
const host = fc.oneof(
  fc
    .tuple(fc.array(hostPart, { minLength: 2, maxLength: 4 }), fc.option(port, { nil: '' }))
    .map(([parts, end]) => parts.join('.') + end),
  fc.tuple(hostPart, port).map((all) => all.join('')),
  fc.tuple(fc.constantFrom('localhost', '127.0.0.1', '[::1]', '[2001:db8::A]'), port).map((all) => all.join('')),
  fc.constant('localhost'),
);
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((all) => all.join('/'));
const tag = fc.tuple(of([...letters, '_']), text(of([...letters, '_', '.', '-']), 0, 127)).map((all) => all.join(''));
const hex = of([...'0123456789abcdef']);
const digest = fc.oneof(
  text(hex, 64, 64).map((digits) => `sha256:${digits}`),
  text(hex, 128, 128).map((digits) => `sha512:${digits}`),
);

test('whatever the grammar makes is read, part by part, and written as it was', () => {
  const parts = [host, path, fc.option(tag, { nil: undefined }), fc.option(digest, { nil: undefined })] as const;
  fc.assert(
    fc.property(...parts, (registry, repository, tag, digest) => {
      const written = `${registry}/${repository}${tag ? `:${tag}` : ''}${digest ? `@${digest}` : ''}`;
      const parsed = parseReference(written);
      expect(parsed).toEqual({
        ok: true,
        value: { registry, repository, ...(tag ? { tag } : {}), ...(digest ? { digest } : {}) },
      });
      expect(parsed.ok && formatReference(parsed.value)).toBe(written);
    }),
    { numRuns: 500 },
  );
});

test('a name without a host is one of Docker Hub’s, and is read again as what it is written as', () => {
  fc.assert(
    fc.property(path, fc.option(tag, { nil: undefined }), (name, tag) => {
      const first = name.split('/')[0] ?? '';
      fc.pre(!name.includes('/') || (!first.includes('.') && first !== 'localhost'));
      const parsed = parseReference(tag ? `${name}:${tag}` : name);
      if (!parsed.ok) throw new Error(name);
      expect(parsed.value).toMatchObject({
        registry: 'docker.io',
        repository: name.includes('/') ? name : `library/${name}`,
      });
      expect(parseReference(formatReference(parsed.value))).toEqual(parsed);
    }),
    { numRuns: 300 },
  );
});

/** The grammar once more, character by character. */
function isMadeByGrammar({ registry, repository, tag, digest }: Record<string, string | undefined>): boolean {
  const isAll = (part: string, chars: string[]): boolean =>
    part !== '' && [...part].every((char) => chars.includes(char));
  const isComponent = (part: string): boolean => {
    const pieces = part.split(/(?:\.|__|_|-+)/);
    return pieces.every((piece) => isAll(piece, lower));
  };
  const isHost = (written = ''): boolean => {
    const colon = written.lastIndexOf(':');
    const end = written.endsWith(']') || colon < 0 ? written.length : colon;
    const [name, number] = [written.slice(0, end), written.slice(end + 1)];
    if (end < written.length && !isAll(number, [...'0123456789'])) return false;
    if (name.startsWith('[')) return name.endsWith(']') && isAll(name.slice(1, -1), [...'0123456789abcdefABCDEF:']);
    return name
      .split('.')
      .every((part) => isAll(part, [...letters, '-']) && !part.startsWith('-') && !part.endsWith('-'));
  };
  const [first = '', ...rest] = tag ?? '_';
  const [algorithm = '', digits = ''] = (digest ?? `sha256:${'0'.repeat(64)}`).split(':');
  return (
    isHost(registry) &&
    (repository ?? '').length <= 255 &&
    (repository ?? '').split('/').every(isComponent) &&
    isAll(first, [...letters, '_']) &&
    (rest.length === 0 || isAll(rest.join(''), [...letters, '_', '.', '-'])) &&
    rest.length < 128 &&
    isAll(digits, [...'0123456789abcdef']) &&
    digits.length === { sha256: 64, sha512: 128 }[algorithm]
  );
}

test('whatever is read, the grammar makes', () => {
  const piece = fc.oneof(
    { weight: 4, arbitrary: component },
    { weight: 2, arbitrary: host },
    tag,
    digest,
    of([
      '/',
      ':',
      '@',
      '.',
      '-',
      '_',
      '__',
      '___',
      '..',
      ' ',
      '\n',
      'A',
      '[::1]',
      '[',
      ']',
      'sha256:',
      'localhost',
      'é',
      '%',
      '://',
    ]),
  );
  let read = 0;
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, of(['/', '/', ':', '@'])), { maxLength: 7 }), (pieces) => {
      const parsed = parseReference(pieces.join(''));
      if (!parsed.ok) return;
      read += 1;
      expect(isMadeByGrammar({ ...parsed.value })).toBe(true);
      expect(parseReference(formatReference(parsed.value))).toEqual(parsed);
    }),
    { numRuns: 4000 },
  );
  expect(read).toBeGreaterThan(150);
});

test.each([
  // Docker refuses what may be an image's id (normalize.go: anchoredIdentifierRegexp).
  'f'.repeat(64),
  // A host with an underscore is no host, and a name with a dot before the slash is one.
  'a_b.example/x',
  'a/b@sha256:abc',
  `a/${'b'.repeat(256)}`,
  'HTTPS://h/x',
  'h:port/x',
  'a:b:c',
  'a@b@c',
  '-oProxy/x',
  '--flag',
])('%j is no reference', (written) => {
  expect(parseReference(written)).toMatchObject({ ok: false });
});

test('what is long is read in a time that grows with it', () => {
  const started = cpuMs();
  for (const unit of ['a', 'a-', 'a.', 'a/', 'a_', '-', '.', 'a:', '[:', 'A', 'a@', '0.0:'])
    for (const end of ['', '!', '/x:y', '@sha256:']) parseReference(unit.repeat(20_000) + end);
  expect(cpuMs() - started).toBeLessThan(2000);
});
