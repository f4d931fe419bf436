// Shell text as trees and words: what a shell would do, on paper.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseShell } from './shell.ts';
import type { Call, Machine } from './shell-expand.ts';
import { runShell } from './shell-run.ts';
import { readable, symbol } from './symbols.ts';

function calls(text: string, params: Record<string, string> = {}, vars: Record<string, string> = {}): Call[] {
  const found: Call[] = [];
  const machine: Machine = {
    vars: new Map(Object.entries(vars)),
    cwd: '/',
    functions: new Map(),
    params,
    arch: 'arm64',
    budget: { steps: 20_000 },
    line: 1,
    onCall: (call) => found.push(call),
    onDoubt: () => {},
    onOutput: () => {},
  };
  runShell(text, machine);
  return found;
}

const words = (text: string, params: Record<string, string> = {}, vars: Record<string, string> = {}): string[] =>
  calls(text, params, vars).map((call) => readable(call.words.join('|')));

const tag = symbol('param', 'tag');

test.each<[text: string, expected: string[]]>([
  ['a \'b c\' "d e" f\\ g', ['a|b c|d e|f g']],
  ['a \\\n  b\nc', ['a|b', 'c']],
  ['a && b; c || d', ['a', 'b', 'c']],
  ['a # b\n# c\nd#e', ['a', 'd#e']],
  ["x='1 2'; a $x \"$x\" '$x'", ['a|1|2|1 2|$x']],
  ['a ${x:-b c} "${x:-b c}"', ['a|b|c|b c']],
  [
    'x=v1.2.3; a ${x#v} ${x%.*} ${x%%.*} ${x/./_} ${x//./_} ${x:1:3} ${x^^}',
    ['a|1.2.3|v1.2|v1|v1_2.3|v1_2_3|1.2|V1.2.3'],
  ],
  ['x=(a "b c"); p ${x[@]}', ['p|a|b|c']],
  ['for i in x y; do p $i; done', ['p|x', 'p|y']],
  ['f() { p "$1"; }; f q', ['p|q']],
  ['cat <<EOF\ndocker push x\nEOF\nb', ['cat', 'b']],
  ['cat <<-"E" > f\n\tdocker push x\n\tE\nb', ['cat', 'b']],
  ['case b in a) p;; b|c) q;; *) r;; esac', ['q']],
  ['if false; then a; else b; fi', ['b']],
  ['if [ 1 -eq 1 ]; then a; else b; fi', ['a']],
  ['if [[ a == b && c == c ]]; then p; elif [ -z "" ]; then q; fi', ['q']],
  ['test -n "" || p', ['p']],
  ['! [ a = b ] && p', ['p']],
  ['(cd x; p); q', ['p', 'q']],
  ['p $(echo a b) "$(echo a b)" `echo c`', ['p|a|b|a b|c']],
  ['p $(date -u +%Y) $(uname -m) $(git rev-parse --short HEAD)', ['p|${date}|aarch64|${commit}']],
  ['x=$(cat VERSION); export y=$(cat V); p $x $y', ['p|${x}|${y}']],
  ['p $UNSET', ['p|${UNSET}']],
  ['[ -z "$UNSET" ] && exit 0; p', ['p']],
  ['[ -z "" ] && exit 0; p', []],
  ['if [ a = a ]; then p; exit; fi; q', ['p']],
  ['A=1 B=2 p c', ['p|c']],
  ['p | q x', ['p', 'q|x']],
])('%s', (text, expected) => {
  expect(words(text)).toEqual(expected);
});

test('a condition on a parameter is decided by its value, and the words keep the parameter', () => {
  const text = `x=${tag}; push=1; if [ -z "${tag}" ]; then x=dev; push=0; fi\nif [ "$push" -eq 1 ]; then p $x; fi`;
  expect(words(text, { tag: 'v1' })).toEqual(['p|${tag}']);
  expect(words(text, { tag: '' })).toEqual([]);
  expect(words(text)).toEqual(['p|${tag}']);
});

test('where a condition is not known, both ways are taken, and a variable keeps its value from before', () => {
  expect(words('if grep -q x y; then a; t=1; else b; t=2; fi; p $t', {}, {})).toEqual(['grep|-q|x|y', 'a', 'b', 'p|1']);
  expect(words('t=0; if grep -q x y; then t=1; fi; p $t')).toEqual(['grep|-q|x|y', 'p|0']);
});

test('a call has its line, its folder and the file that it writes', () => {
  const [first, second] = calls('mkdir x\ncd x && docker save a \\\n | gzip > b.tar.gz').filter(
    ({ words: [name] }) => name !== 'mkdir',
  );
  expect(first).toMatchObject({ line: 2, cwd: '/x', output: '/x/b.tar.gz', pipedTo: [['gzip']] });
  expect(second?.words).toEqual(['gzip']);
});

test('a script that calls itself, loops in loops or doubles a text comes to an end', () => {
  expect(calls('f() { f; f; f; f; }; f').length).toBeLessThan(20_000);
  const loop = 'for a in 1 2 3 4 5 6 7 8 9; do ';
  expect(calls(`${loop.repeat(8)}p; ${'done; '.repeat(8)}`).length).toBeLessThan(20_000);
  expect(calls(`x=aaaaaaaaaa; ${'x=$x$x; '.repeat(60)} p $x`)[0]?.words[1]?.length).toBeLessThan(100_000);
});

test('any text is read', () => {
  const marks = fc.constantFrom(
    ...'$(){}[]<>|&;"\'`\\#\n =!',
    'if ',
    'then ',
    'fi',
    'for ',
    'do ',
    'done',
    'case ',
    'esac',
    'a',
    '<<E',
    '${',
    '$(',
  );
  fc.assert(
    fc.property(fc.array(marks, { maxLength: 40 }), (parts) => {
      expect(parseShell(parts.join('')).kind).toBe('list');
      expect(() => words(parts.join(''))).not.toThrow();
    }),
    { numRuns: 500 },
  );
});
