// Problems together: all of a file at once, in order, each at the right place of texts that are hard to count in.
import { expect, test } from 'vitest';
import type { Diagnostic } from '../failure.ts';
import { readConfig } from './read.ts';

/** Three lines that a config needs; what follows begins in line 4. */
const head = 'version: 1\nfamily: f\nplatforms: [linux/amd64, linux/arm64]\n';
/** Four lines; what follows begins in line 5. */
const whole = `${head}images: { a: { repository: o/a }, b: { repository: o/b } }\n`;

function diagnose(text: string): Diagnostic[] {
  const result = readConfig(text, { file: 'splitbuild.yaml', env: {}, set: {} });
  if (result.ok) return result.value.warnings;
  return result.failure.kind === 'diagnostics' ? result.failure.diagnostics : [];
}

test('the underline covers the words', () => {
  const [first] = diagnose(`${whole}platform: x\n`);
  expect(first?.location).toMatchObject({
    line: 5,
    column: 1,
    endColumn: 9,
    text: 'platform: x',
    file: 'splitbuild.yaml',
  });
});

test('all problems of a file are reported at once, in its order, each once', () => {
  const text = `version: 2
famly: f
platforms: [linux/amd64, linux/arm64, linux/amd64]
vars: { org: "\${orgg}" }
defaults: { args: { TOKEN: x } }
images:
  Base: { repository: "\${org}/base", target: "\${nope}" }
  dev: { needs: [bas], context: ../x }
  one: { repository: o/x }
  two: { repository: o/x, platforms: x }
groups: { g: { images: [dv], script: x } }
workflows: { w: { disable: [gone], tags: ["\${typo}"] } }
builders: [{ name: a, endpoint: nowhere, slots: many }]
registry: myorg
`;
  expect(diagnose(text).map(({ code, severity, location }) => `${location?.line} ${severity} ${code}`)).toEqual([
    '1 error wrong-type',
    '1 error missing-key',
    '2 error unknown-key',
    '3 error duplicate-platform',
    '4 error undefined-variable',
    '5 warning secret-arg',
    '7 error image-name',
    '7 error undefined-variable',
    '8 error missing-key',
    '8 error unknown-image',
    '8 error path-outside',
    '10 error duplicate-repository',
    '10 error wrong-type',
    '11 error unknown-image',
    '12 warning unknown-image',
    '12 error undefined-variable',
    '13 error endpoint',
    '13 error wrong-type',
    '14 error registry',
  ]);
});

test('several YAML errors are reported together', () => {
  expect(diagnose('a: 1\na: 2\nb: 1\nb: 2\n').map(({ location }) => location?.line)).toEqual([2, 4]);
});

test('a value that an alias brings is shown where it is written', () => {
  const [first] = diagnose(`${head}images:\n  a: &a { repository: O/a }\n  b: { <<: *a, repository: o/b }\n`);
  expect(first).toMatchObject({ code: 'repository', location: { line: 5, column: 23 } });
});

test('lines and columns are right with CRLF, a byte order mark and wide characters', () => {
  const [crlf] = diagnose(`${whole}# ü\nplatform: x\n`.replaceAll('\n', '\r\n'));
  expect(crlf?.location).toMatchObject({ line: 6, column: 1, text: 'platform: x' });
  const [marked] = diagnose(`\uFEFFversion: 2\n${whole.slice(11)}`);
  expect(marked?.location).toMatchObject({ line: 1, column: 1, text: 'version: 2' });
  const [wide] = diagnose(`${whole}vars: { x: "名前 \${nope}" }\n`);
  expect(wide?.location).toMatchObject({ line: 5, column: 16, endColumn: 23 });
});
