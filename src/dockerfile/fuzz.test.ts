// Dockerfiles that somebody else wrote, or nobody: whatever is in them, reading ends, soon, in references or in diagnostics at places
// that are in the text.
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cpuMs } from '../testing.ts';
import { pinReferences } from './pin.ts';
import { readReferences } from './references.ts';

const platform = { os: 'linux', architecture: 'arm64' };
const testdata = new URL('testdata/', import.meta.url);
const real = [
  ...readdirSync(testdata)
    .filter((name) => name.endsWith('.Dockerfile'))
    .map((name) => new URL(name, testdata)),
  ...['base', 'tools', 'data', 'app', 'web'].map(
    (name) => new URL(`../../examples/quickstart/${name}/Dockerfile`, import.meta.url),
  ),
].map((file) => readFileSync(file, 'utf8'));

function survives(text: string, args: Record<string, string> = {}): void {
  const result = readReferences(text, { file: 'Dockerfile', platform, args });
  const rows = text.split('\n');
  const inText = (location?: { line: number; column: number; endColumn?: number; text?: string }): void => {
    if (!location) return;
    const row = rows[location.line - 1];
    expect(row?.replace(/\r$/, '')).toBe(location.text);
    expect(location.column).toBeGreaterThan(0);
    expect(location.column).toBeLessThanOrEqual((row?.length ?? 0) + 1);
  };
  if (!result.ok) {
    if (result.failure.kind !== 'diagnostics') throw new Error(result.failure.kind);
    expect(result.failure.diagnostics.length).toBeGreaterThan(0);
    for (const { message, location } of result.failure.diagnostics) {
      expect(message).not.toMatch(/undefined|\[object|^$/);
      inText(location);
    }
    return;
  }
  const { references, warnings } = result.value;
  for (const { location } of [...references, ...warnings]) inText(location);
  // A reference that is needed can be pinned, and is then read as what it was pinned to.
  const pinned = `r.example/pin@sha256:${'0'.repeat(64)}`;
  const needed = references.filter(({ state }) => state === 'needed');
  const pins = needed.map(({ range }) => ({ range, value: pinned }));
  const again = readReferences(pinReferences(text, pins), { file: 'Dockerfile', platform, args });
  if (!again.ok) throw new Error(`pinned, it is no Dockerfile: ${JSON.stringify(again.failure)}`);
  const values = again.value.references.filter(({ state }) => state === 'needed').map(({ value }) => value);
  expect(values).toEqual(needed.map(() => pinned));
}

const strange = fc.constantFrom(
  ...[
    '\\\n',
    '\\',
    '`',
    '\r\n',
    '\n',
    '\t',
    ' ',
    '#',
    '# escape=`\n',
    '<<EOF',
    '<<-EOF',
    '\nEOF\n',
    '<<"a b"',
    "'",
    '"',
  ],
  ...[
    '$',
    '${',
    '}',
    '${X:-',
    '${X//a/',
    '${X%*',
    '$X',
    '--from=',
    '--mount=',
    ',from=',
    ' AS ',
    'FROM ',
    'ARG ',
    'ONBUILD ',
  ],
  ...[
    'RUN ',
    'COPY ',
    '[',
    '"]',
    '\uFEFF',
    '😀',
    '\u0000',
    '\u2028',
    '\uD800',
    'scratch',
    '0',
    'a',
    ':',
    '@sha256:',
    '/',
  ],
);

test('the files that are changed here are read as they are', () => {
  expect(real.length).toBeGreaterThan(30);
  for (const text of real) survives(text);
});

test('real Dockerfiles with parts cut out, doubled, exchanged, and strange things put in', () => {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat(12),
    put: fc.oneof(strange, fc.constant('')),
    again: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.constantFrom(...real), fc.array(change, { minLength: 1, maxLength: 5 }), (text, changes) => {
      let changed = text;
      for (const { at, cut, put, again } of changes) {
        const start = Math.floor(at * changed.length);
        changed = changed.slice(0, start) + put + changed.slice(again ? Math.max(0, start - cut) : start + cut);
      }
      survives(changed, { X: 'x', __proto__: 'y' });
    }),
    { numRuns: 1500 },
  );
});

test('lines of several Dockerfiles, in any order', () => {
  const lines = real.flatMap((text) => text.split('\n'));
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...lines), { maxLength: 15 }), (all) => survives(all.join('\n'))),
    { numRuns: 500 },
  );
});

test('heredocs: nested names, quoted, chomped, after continuations, never ended', () => {
  const word = fc.constantFrom('EOF', 'a', '"EOF"', "'E F'", '-EOF', '-"a"', ' EOF', '$X', '\\EOF', '');
  const body = fc.constantFrom('FROM evil', 'EOF', '\tEOF', 'a', '\ta', 'E F', 'RUN true', '\\', '# c', '');
  const opened = fc.array(word, { minLength: 1, maxLength: 3 }).map((all) => all.map((name) => `<<${name}`).join(' '));
  const step = fc.tuple(
    fc.constantFrom('RUN ', 'COPY ', 'ADD ', 'RUN \\\n', 'ONBUILD RUN ', 'ENV X='),
    opened,
    fc.array(body, { maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 3 }), (steps) => {
      const text = steps.map(([keyword, names, lines]) => `${keyword}${names} /x\n${lines.join('\n')}\n`).join('');
      survives(`FROM alpine\n${text}`);
    }),
    { numRuns: 800 },
  );
});

const units = [
  ...[
    'a',
    ' ',
    '\\',
    '\\\n',
    '\n',
    '#',
    '"',
    "'",
    '$',
    '${',
    '${a',
    '${a:-',
    '${a//',
    '${a%*',
    '}',
    '<',
    '<<',
    '<<a ',
    '*',
  ],
  ...[
    '[',
    '["a",',
    '--x ',
    '--a=b ',
    'RUN ',
    'FROM a\n',
    'FROM a AS b\n',
    'ARG a=b\n',
    'ARG a=$a$a\n',
    'RUN \\\n#c\n',
    'a\\\n',
  ],
  ...[
    'COPY --from=b / /\n',
    'RUN --mount=from=b,target=/x true\n',
    'RUN <<EOF\n',
    '# ',
    '# a=b\n',
    '\t',
    '\r',
    '=',
    ',',
    '/',
    '_',
    '-',
  ],
];
const starts = [
  ...[
    '',
    'FROM ',
    'FROM a\nRUN ',
    'FROM a\nCOPY --from=',
    'ARG a=x\n',
    'FROM a\nRUN <<',
    '#',
    'FROM --platform=',
    'FROM a\nRUN --mount=',
  ],
  ...[
    'ARG a=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nFROM ${a%',
    'ARG a=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nFROM ${a//',
    'FROM a\nONBUILD ',
  ],
];

test.each(starts)('after %j, whatever is repeated a thousand times', (start) => {
  for (const unit of units) {
    const begun = cpuMs();
    readReferences(start + unit.repeat(1000), { file: 'Dockerfile', platform, args: {} });
    expect(cpuMs() - begun, JSON.stringify(unit)).toBeLessThan(1500);
  }
});

test('ten thousand stages, each on the one before it', () => {
  const stages = Array.from({ length: 10_000 }, (_, n) => `FROM ${n === 0 ? 'alpine' : `s${n - 1}`} AS s${n}\n`).join(
    '',
  );
  const result = readReferences(stages, { file: 'Dockerfile', platform, args: {} });
  expect(result.ok && result.value.references.map(({ written }) => written)).toEqual(['alpine']);
});
