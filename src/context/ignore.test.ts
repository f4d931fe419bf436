// Ignore rules, by hand-made cases of what `docker build` sends, and by another implementation of the same rules.
import dockerignore from '@balena/dockerignore';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readIgnoreRules, type Verdict } from './ignore.ts';

/** What the rules say of a path, walked down to it as the files of a context are. */
function verdict(rules: string, path: string): Verdict {
  const { top, judge } = readIgnoreRules(rules);
  const names = path.split('/');
  return names.reduce((parent, _, at) => judge(names.slice(0, at + 1).join('/'), parent), top);
}

// From the Dockerfile reference, ".dockerignore file", and moby/patternmatcher's own cases.
test.each([
  ['*/temp*', 'somedir/temporary.txt', true],
  ['*/temp*', 'somedir/temp/x', true],
  ['*/temp*', 'temp', false],
  ['*/*/temp*', 'a/b/temporary', true],
  ['temp?', 'tempa', true],
  ['temp?', 'temp', false],
  ['**/*.go', 'main.go', true],
  ['**/*.go', 'a/b/main.go', true],
  ['*.md\n!README.md', 'README.md', false],
  ['*.md\n!README*.md\nREADME-secret.md', 'README-secret.md', true],
  ['*.md\nREADME-secret.md\n!README*.md', 'README-secret.md', false],
  ['# a comment\n #not', ' #not', false],
  ['# a comment\n #not', '#not', true],
  ['/foo/bar/', 'foo/bar', true],
  ['foo/../bar', 'bar/baz', true],
  ['node_modules\n!node_modules/keep', 'node_modules/keep/file', false],
  ['node_modules\n!node_modules/keep', 'node_modules/other/file', true],
  ['a[b-d]e', 'ace', true],
  ['a[^b-d]e', 'ace', false],
  ['a\\*b', 'a*b', true],
  ['a\\*b', 'axb', false],
  // Docker 20.10 and later clients don't agree on these: they are left out by both, or not at all.
  ['foo+bar.(x)', 'foo+bar.(x)', false],
  ['fo+', 'foo', false],
  ['foo(bar)?', 'foo', false],
  ['*\n!c+d', 'c+d', false],
  ['*\n!c+d', 'ccd', false],
  ['a.b', 'axb', false],
  ['abc/**', 'abc/def/ghi', true],
  ['abc/**', 'abc', false],
  ['**/dir2/*', 'dir/dir2/file', true],
  ['**', 'any/thing', true],
  ['dir/**\n!dir/a/b', 'dir/a/b/c', false],
  ['\uFEFFfoo', 'foo', true],
  ['foo\r\nbar\r', 'bar', true],
  ['[', 'a', false],
  ['!', 'a', false],
])('by the rules %j, that %j is left out is %s', (rules, path, ignored) => {
  expect(verdict(rules, path).ignored).toBe(ignored);
});

test.each([
  ['node_modules', 'node_modules', false],
  ['!node_modules/a\nnode_modules', 'node_modules', false],
  ['node_modules\n!node_modules/a/b', 'node_modules', true],
  ['node_modules\n!node_modules/a/b', 'node_modules/a', true],
  ['node_modules\n!node_modules/a/b', 'node_modules/c', false],
  ['node_modules\n!src/x', 'node_modules', false],
  ['node_modules\n!**/README', 'node_modules', true],
  ['node_modules\n!src/**/README', 'node_modules', false],
  ['*\n!s*/x', 'src', true],
  ['*\n!s*/x', 'docs', false],
])('by the rules %j, whether %j may hold something that is kept is %s', (rules, folder, may) => {
  const { ignored, mayHoldKept } = verdict(rules, folder);
  expect([ignored, mayHoldKept]).toEqual([true, may]);
});

const name = fc.constantFrom('a', 'b', 'ab', 'a.b', '.x', 'dir');
const piece = fc.constantFrom('a', 'b', 'ab', '*', '?', '**', 'a*', '*b', '.x', 'dir', '*.b', '[ab]');
const line = fc
  .tuple(
    fc.constantFrom('', '!', '/', '# '),
    fc.array(piece, { minLength: 1, maxLength: 4 }),
    fc.constantFrom('', '/', ' '),
  )
  .map(([start, pieces, end]) => start + pieces.join('/') + end);
const rulesAndPath = fc.tuple(fc.array(line, { maxLength: 6 }), fc.array(name, { minLength: 1, maxLength: 5 }));

test('they are what another implementation makes of them', () => {
  fc.assert(
    fc.property(rulesAndPath, ([lines, names]) => {
      const peer = dockerignore.default({ ignorecase: false }).add(lines);
      expect(verdict(lines.join('\n'), names.join('/')).ignored).toBe(peer.ignores(names.join('/')));
    }),
    { numRuns: 6000 },
  );
});

test('nothing that is kept lies in a folder that is passed over', () => {
  fc.assert(
    fc.property(rulesAndPath, ([lines, names]) => {
      const rules = lines.join('\n');
      if (verdict(rules, names.join('/')).ignored) return;
      for (let depth = 1; depth < names.length; depth += 1) {
        const above = verdict(rules, names.slice(0, depth).join('/'));
        expect(above.ignored && !above.mayHoldKept).toBe(false);
      }
    }),
    { numRuns: 6000 },
  );
});
