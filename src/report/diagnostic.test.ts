// The printer of diagnostics, on lines that are hard to underline. The expected texts are written by hand.
import { expect, test } from 'vitest';
import type { Diagnostic, Location } from '../failure.ts';
import { formatDiagnostic, formatFailure } from './diagnostic.ts';

const plain = { color: false };
const at = (text: string, column: number, endColumn?: number): Location => ({
  file: 'splitbuild.yaml',
  line: 3,
  column,
  text,
  ...(endColumn === undefined ? {} : { endColumn }),
});
const problem = (location?: Location, more: Partial<Diagnostic> = {}): Diagnostic => ({
  code: 'x',
  severity: 'error',
  message: 'this is wrong',
  ...(location ? { location } : {}),
  ...more,
});
const lines = (...rows: string[]): string => rows.join('\n');

test('the place, the line, the words underlined, and the help', () => {
  expect(formatDiagnostic(problem(at('mode: natve', 7, 12), { help: "did you mean 'native'?" }), plain)).toBe(
    lines(
      'splitbuild.yaml:3:7: error: this is wrong',
      '  mode: natve',
      '        ^^^^^',
      "help: did you mean 'native'?",
    ),
  );
});

test('a warning says so', () => {
  expect(formatDiagnostic(problem(undefined, { severity: 'warning' }), plain)).toBe('warning: this is wrong');
});

test('without a place there is no line to show', () => {
  expect(formatDiagnostic(problem(undefined, { help: 'do that' }), plain)).toBe(
    lines('error: this is wrong', 'help: do that'),
  );
});

test('without the text of the line there is only the place', () => {
  expect(formatDiagnostic(problem({ file: 'a.yaml', line: 1, column: 2 }), plain)).toBe(
    'a.yaml:1:2: error: this is wrong',
  );
});

test('without an end one column is underlined', () => {
  expect(
    formatDiagnostic(problem(at('abc', 2)), plain)
      .split('\n')
      .at(-1),
  ).toBe('   ^');
});

test('tabs before the words stay tabs under the line', () => {
  expect(
    formatDiagnostic(problem(at('\tx:\tbad', 5, 8)), plain)
      .split('\n')
      .slice(1),
  ).toEqual(['  \tx:\tbad', '  \t  \t^^^']);
});

test('wide characters take two columns, before the words and in them', () => {
  // 名前 is four columns wide on a terminal and two UTF-16 code units long.
  expect(
    formatDiagnostic(problem(at('名前: 値 x', 5, 6)), plain)
      .split('\n')
      .slice(1),
  ).toEqual(['  名前: 値 x', '        ^^']);
});

test('a character outside the BMP is two code units and two columns', () => {
  expect(
    formatDiagnostic(problem(at('🚀 bad', 4, 7)), plain)
      .split('\n')
      .at(-1),
  ).toBe('     ^^^');
});

test('an accent that combines takes no column', () => {
  expect(
    formatDiagnostic(problem(at('e\u0301: bad', 5, 8)), plain)
      .split('\n')
      .at(-1),
  ).toBe('     ^^^');
});

test('a place after the end of the line is underlined by one column', () => {
  expect(
    formatDiagnostic(problem(at('a: "x', 6, 7)), plain)
      .split('\n')
      .slice(1),
  ).toEqual(['  a: "x', '       ^']);
});

test('what a line holds for the terminal does not reach it', () => {
  expect(formatDiagnostic(problem(at('a: \u001b[31mred', 1, 2)), plain)).not.toContain('\u001b');
});

test('there are colours only if they are wanted', () => {
  const diagnostic = problem(at('abc', 1, 4), { help: 'h' });
  expect(formatDiagnostic(diagnostic, plain)).not.toContain('\u001b');
  const colored = formatDiagnostic(diagnostic, { color: true });
  expect(colored).toContain('\u001b[31m^^^');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the codes that colour
  expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(formatDiagnostic(diagnostic, plain));
});

test('several diagnostics are set apart by an empty line', () => {
  const failure = { kind: 'diagnostics' as const, diagnostics: [problem(), problem()] };
  expect(formatFailure(failure, plain)).toBe(lines('error: this is wrong', '', 'error: this is wrong'));
});

test('a failed build shows where, what was tried, the end of its log and the help', () => {
  const failure = {
    kind: 'build' as const,
    message: 'base did not build',
    where: 'arm',
    tried: ['docker build'],
    exitCode: 1,
    log: ['step 1', 'no such file'],
    help: 'look at its Dockerfile',
  };
  expect(formatFailure(failure, plain)).toBe(
    lines(
      'error: base did not build',
      '  at arm',
      '  tried: docker build',
      '  | step 1',
      '  | no such file',
      'help: look at its Dockerfile',
    ),
  );
});

test('an interrupt is one word', () => {
  expect(formatFailure({ kind: 'cancelled' }, plain)).toBe('interrupted');
});
