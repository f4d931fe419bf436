// The lexer's words and patterns; expected values are BuildKit's (shell/lex.go).
import { expect, test } from 'vitest';
import { lex } from './shell-lexer.ts';

const variables: Record<string, string> = { V: '1.22.3', EMPTY: '', PATHS: 'a/b/c', STAR: 'x*y' };

function expand(text: string): string {
  const lexed = lex(text, { escapeChar: '\\', lookup: (name) => variables[name] });
  return lexed.ok ? lexed.value.value : `error: ${lexed.message}`;
}

test.each([
  ['${V#*.}', '22.3'],
  ['${V##*.}', '3'],
  ['${V%.*}', '1.22'],
  ['${V%%.*}', '1'],
  ['${V%?}', '1.22.'],
  ['${V%%*}', ''],
  ['${V/2/x}', '1.x2.3'],
  ['${V//2/x}', '1.xx.3'],
  ['${V//*/x}', 'x'],
  ['${PATHS//\\//-}', 'a-b-c'],
  ['${STAR#x\\*}', 'y'],
  // Unlike in a shell, a quoted * is a wildcard.
  ['${STAR/"*"/-}', '-'],
  ['${EMPTY:-d}${EMPTY-d}', 'd'],
  ['${EMPTY:+d}${EMPTY+d}', 'd'],
  ['${NONE:-${NONE-${V%%.*}}}', '1'],
  ['"$V"\'$V\'\\$V', '1.22.3$V$V'],
  ['$', '$'],
  ['${V', "error: '}' is missing"],
  ['${V:#1}', 'error: unsupported modifier (:#) in substitution'],
  ['${NONE:?say so}', 'error: NONE: say so'],
  ['"open', 'error: a double quote (") is not closed'],
])('%s is %j', (text, value) => {
  expect(expand(text)).toBe(value);
});

test('words keep quotes and unset variables where asked to', () => {
  const options = { escapeChar: '\\', lookup: () => undefined, keepUnset: true, keepQuotes: true, keepEscapes: true };
  const lexed = lex('cat << EOF  >"/a b" $X ${Y:-z} c\\ d', options);
  expect(lexed.ok && lexed.value.words).toEqual(['cat', '<< EOF', '>"/a b"', '$X', '${Y:-z}', 'c\\ d']);
});
