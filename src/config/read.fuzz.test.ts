// The reader on whatever there may be in a file: it answers, and every place it names lies in the text.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type ReadOptions, readConfig } from './read.ts';

const options: ReadOptions = { file: 'splitbuild.yaml', env: {}, set: {}, now: new Date(0) };

function survives(text: string, more: Partial<ReadOptions> = {}): void {
  const result = readConfig(text, { ...options, ...more });
  const found = result.ok ? result.value.warnings : result.failure.kind === 'diagnostics' && result.failure.diagnostics;
  if (!found) throw new Error('a failure of another kind');
  if (!result.ok) expect(found.filter(({ severity }) => severity === 'error')).not.toHaveLength(0);
  const rows = text.replace(/^\uFEFF/, '').split('\n');
  let last = 0;
  for (const { location, message } of found) {
    const { line = 0, column = 0, endColumn = 0, text: row } = location ?? {};
    expect(row).toBe(rows[line - 1]?.replace(/\r$/, ''));
    expect(column).toBeGreaterThan(0);
    expect(endColumn).toBeGreaterThan(column);
    expect(line).toBeGreaterThanOrEqual(last);
    expect(message).not.toBe('');
    last = line;
  }
}

const words = fc.constantFrom(
  ...['version', 'family', 'platforms', 'images', 'repository', 'needs', 'vars', 'tags', 'workflows', 'exports'],
  ...['assets', 'ci', 'circleci', 'jobs', 'job', 'github', 'runners', 'deploy', 'resourceClass', 'on', 'script'],
  ...['builders', 'endpoint', 'registry', 'args', 'defaults', 'groups', 'disable', 'image', 'file', 'a', '__proto__'],
);
const texts = fc.oneof(
  words,
  fc.constantFrom('linux/amd64', '${a}', '${tag}', '$${x}', '${', 'o/a', '${env:X}'),
  fc.string(),
);
const trees = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6 },
    tie('leaf'),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(words, tie('tree')),
  ),
  leaf: fc.oneof(texts, fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
})).tree;

test('any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => survives(text)),
    { numRuns: 500 },
  );
});

test('any text of YAML punctuation', () => {
  const marks = fc.constantFrom(
    ...'{}[]&*!|>\'"%@`:-?,# \n\t\r',
    '<<',
    '${',
    '*a',
    '&a ',
    ': ',
    '- ',
    'a',
    '\uFEFF',
    '---\n',
  );
  fc.assert(
    fc.property(fc.array(marks, { maxLength: 40 }), (parts) => survives(parts.join(''))),
    { numRuns: 400 },
  );
});

test('any JSON as YAML', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => survives(stringify(value))),
    { numRuns: 500 },
  );
});

test('any tree of the keys of a config', () => {
  fc.assert(
    fc.property(
      fc.dictionary(words, trees),
      fc.constantFrom(undefined, 'a', 'x'),
      fc.constantFrom<ReadOptions['git']>({}, 'later'),
      (value, workflow, git) => survives(stringify(value), { git, ...(workflow === undefined ? {} : { workflow }) }),
    ),
    { numRuns: 400 },
  );
});

test('a sound config with one value exchanged for any other', () => {
  const sound = {
    version: 1,
    family: 'f',
    platforms: ['linux/amd64'],
    vars: { o: 'o' },
    defaults: { args: { B: '${a}' } },
    images: { a: { repository: '${o}/a', args: { A: '1' }, vars: { a: '${o}' }, job: 'j' } },
    groups: { g: { images: ['a'], vars: { a: 'x' }, script: '${a} ${arch}' } },
    exports: [{ image: 'a', file: 'x' }],
    assets: { s: { images: ['x:1', { image: 'y:1' }], deploy: { 'github-release': 'o/r' } } },
    workflows: { a: { tags: ['x'], disable: [], vars: { o: '${branch}' }, jobs: ['x'], assets: ['s'] } },
    ci: { circleci: { resourceClass: { default: 'x' }, jobs: { x: {} } }, github: { runners: { default: ['x'] } } },
    builders: [{ name: 'x', endpoint: 'local' }],
  };
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(sound)), trees, (key, value) =>
      survives(stringify({ ...sound, [key]: value }), { workflow: 'a', git: 'later' }),
    ),
    { numRuns: 300 },
  );
});

test('a thousand million laughs are told from a config', () => {
  const rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
  for (let n = 1; n < 10; n++)
    rows.push(
      `a${n}: &a${n} [${Array(9)
        .fill(`*a${n - 1}`)
        .join(', ')}]`,
    );
  const result = readConfig(rows.join('\n'), options);
  expect(result).toMatchObject({
    failure: { diagnostics: [{ code: 'yaml', message: expect.stringMatching(/too much/) }] },
  });
});

test('merged maps can laugh as well', () => {
  const rows = ['a0: &a0 { x: 1 }'];
  for (let n = 1; n < 40; n++) rows.push(`a${n}: &a${n} { <<: [*a${n - 1}, *a${n - 1}], k${n}: *a${n - 1} }`);
  expect(readConfig(rows.join('\n'), options).ok).toBe(false);
});

test('variables that double each other end', () => {
  const vars = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`v${n}`, `\${v${n + 1}}\${v${n + 1}}`]));
  const text = stringify({ version: 1, family: '${v0}', vars: { ...vars, v60: 'x' } });
  const result = readConfig(text, options);
  expect(JSON.stringify(result)).toContain('variable-length');
});

test('a map that holds itself, straight or by a merge', () => {
  survives('a: &a { b: *a }\n');
  survives('a: &a { <<: *a }\n');
  survives('&a [*a, *a, *a]\n');
});

test.each(['[', '{a: ', '- '])('a hundred thousand of %j', (open) => {
  survives(open.repeat(100_000));
});
