// The examples' configs with changes that nobody meant: each is read, or refused at places that are in the text, and soon.
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cpuMs } from '../testing.ts';
import { parseConfig } from './parse.ts';
import { readConfig } from './read.ts';
import { secretNames } from './secret-names.ts';

const testdata = new URL('testdata/', import.meta.url);
const real = [
  ...['quickstart', 'hysds'].map((name) => new URL(`../../examples/${name}/splitbuild.yaml`, import.meta.url)),
  ...readdirSync(testdata)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => new URL(name, testdata)),
].map((file) => readFileSync(file, 'utf8'));

/** Whether it is right. */
function read(text: string, workflow?: string): boolean {
  const options = {
    file: 'splitbuild.yaml',
    env: { X: 'x' },
    set: {},
    now: new Date(0),
    git: { branch: 'b', tag: 'v6.1' },
  };
  const result = readConfig(text, { ...options, ...(workflow === undefined ? {} : { workflow }) });
  const parsed = parseConfig(text, 'splitbuild.yaml');
  if (parsed.ok) expect(Array.isArray(secretNames(parsed.value))).toBe(true);
  if (!result.ok && result.failure.kind !== 'diagnostics') throw new Error(result.failure.kind);
  const found = result.ok
    ? result.value.warnings
    : result.failure.kind === 'diagnostics'
      ? result.failure.diagnostics
      : [];
  if (!result.ok) expect(found.some(({ severity }) => severity === 'error')).toBe(true);
  const rows = text.replace(/^\uFEFF/, '').split('\n');
  for (const { location, message, help } of found) {
    expect(rows[(location?.line ?? 0) - 1]?.replace(/\r$/, '')).toBe(location?.text);
    expect(`${message} ${help ?? ''}`).not.toMatch(/\[object|function \w|\bundefined\b/);
  }
  expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  expect(Reflect.get({}, 'polluted')).toBeUndefined();
  return result.ok;
}

test('the files that are changed here are right', () => {
  expect(real.length).toBeGreaterThan(1);
  for (const text of real.slice(0, 2)) expect(read(text)).toBe(true);
});

const strange = fc.constantFrom(
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'null',
    '~',
    '1',
    '1e999',
    '.nan',
    '0x10',
    '2001-01-01',
  ],
  ...['[]', '{}', '""', '*a', '&a', '&a [*a]', '<<', '<<: *a', '!!binary', '!!set', '!x', '|', '>', '- ', '? ', ': '],
  ...[
    '${tag}',
    '${',
    '$${',
    '${env:X}',
    '${env:NONE}',
    '${gitTag}',
    '${__proto__}',
    '${a.b}',
    '\u0000',
    '\u2028',
    '😀',
    '\uD800',
  ],
  ...['..', '../x', '/', 'linux/amd64', 'ext::sh', '-x', 'true', 'yes'],
);

test('words exchanged for others of the file, or for what nobody writes', () => {
  const change = fc.record({ at: fc.nat(), word: fc.option(strange, { nil: undefined }), other: fc.nat() });
  fc.assert(
    fc.property(fc.constantFrom(...real), fc.array(change, { minLength: 1, maxLength: 4 }), (text, changes) => {
      let changed = text;
      for (const { at, word, other } of changes) {
        const words = [...changed.matchAll(/[\w./${}-]+/g)];
        const place = words[at % words.length];
        const put = word ?? words[other % words.length]?.[0] ?? '';
        if (place) changed = changed.slice(0, place.index) + put + changed.slice(place.index + place[0].length);
      }
      read(changed, 'release');
    }),
    { numRuns: 120 },
  );
});

test('lines taken out, doubled, moved in or out, and cut off', () => {
  const change = fc.record({ at: fc.nat(), how: fc.constantFrom('drop', 'double', 'in', 'out', 'cut', 'swap') });
  fc.assert(
    fc.property(fc.constantFrom(...real), fc.array(change, { minLength: 1, maxLength: 4 }), (text, changes) => {
      const lines = text.split('\n');
      for (const { at, how } of changes) {
        const index = at % lines.length;
        const line = lines[index] ?? '';
        const next = lines[index + 1] ?? '';
        if (how === 'drop') lines.splice(index, 1);
        else if (how === 'double') lines.splice(index, 0, line);
        else if (how === 'in') lines[index] = `  ${line}`;
        else if (how === 'out') lines[index] = line.replace(/^ {1,2}/, '');
        else if (how === 'cut') lines[index] = line.slice(0, at % (line.length + 1));
        else lines.splice(index, 2, next, line);
      }
      read(lines.join('\n'));
    }),
    { numRuns: 100 },
  );
});

const head = 'version: 1\nfamily: f\nplatforms: [linux/amd64]\n';

test.each([
  ['__proto__ as an image', `${head}images: { __proto__: { repository: o/a, polluted: 1 } }`],
  ['__proto__ in quotes', `${head}images: { a: { repository: o/a, args: { "__proto__": { polluted: x } } } }`],
  ['__proto__ as a variable', `${head}vars: { __proto__: x }\nimages: { a: { repository: "o/\${__proto__}" } }`],
  [
    'constructor everywhere',
    `${head}vars: { constructor: x }\nimages: { constructor: { repository: o/a, needs: [constructor] } }\ngroups: { constructor: { images: [toString], script: x } }`,
  ],
  ['__proto__ by a merge', `x: &x { __proto__: { polluted: 1 } }\n${head}images: { a: { <<: *x, repository: o/a } }`],
  ['a huge key', `${head}images: { ${'a'.repeat(200_000)}: { repository: o/a } }`],
  ['a huge unknown key', `${head}${'k'.repeat(200_000)}: 1\nimages: { a: { repository: o/a } }`],
  ['a huge value', `${head}images: { a: { repository: "${'A'.repeat(200_000)}" } }`],
  ['a huge tag', `${head}tags: ["${'.-'.repeat(100_000)}"]\nimages: { a: { repository: o/a } }`],
  ['a huge source', `${head}images: { a: { repository: o/a, source: "${'a:'.repeat(100_000)}#${':'.repeat(1000)}" } }`],
  ['a path of many steps', `${head}images: { a: { repository: o/a, dockerfile: "${'a/../'.repeat(50_000)}x" } }`],
  [
    'many variables in one text',
    `${head}vars: { v: x }\nimages: { a: { repository: o/a, args: { A: "${'${v}'.repeat(20_000)}" } } }`,
  ],
  ['many open variables', `${head}images: { a: { repository: o/a, args: { A: "${'${'.repeat(20_000)}" } } }`],
  [
    'a chain of variables',
    `${head}vars:\n${Array.from({ length: 3000 }, (_, n) => `  v${n}: "\${v${n + 1}}"\n`).join('')}  v3000: x\nimages: { a: { repository: "o/\${v0}" } }`,
  ],
  [
    'many unknown keys',
    `${head}images: { a: { repository: o/a } }\n${Array.from({ length: 1000 }, (_, n) => `k${n}: 1\n`).join('')}`,
  ],
  ['nested maps', `${head}images: ${'{ a: '.repeat(200)}1${' }'.repeat(200)}`],
  [
    'aliases of aliases',
    `${Array.from({ length: 500 }, (_, n) => `a${n}: &a${n} ${n === 0 ? 'x' : `*a${n - 1}`}\n`).join('')}${head}images: {}`,
  ],
  ['a map with itself in it', `${head}images: &a { a: { repository: o/a, args: *a } }`],
])('%s', (_, text) => {
  const started = cpuMs();
  read(text);
  expect(cpuMs() - started).toBeLessThan(3000);
});
