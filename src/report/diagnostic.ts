// Prints failures and diagnostics for people: the place, the line, the words underlined, and what to do.
import { styleText } from 'node:util';
import stringWidth from 'string-width';
import type { Diagnostic, Failure } from '../failure.ts';

type Style = { color: boolean };

function paint(format: 'red' | 'yellow' | 'cyan' | 'bold', text: string, { color }: Style): string {
  return color ? styleText(format, text, { validateStream: false }) : text;
}

/** A line of a file must not speak to the terminal: control characters, but for tabs and line ends, are shown as dots. */
function visible(text: string): string {
  return text.replace(/(?![\t\n])\p{Cc}/gu, '·');
}

/** `file:line:column: error: message`, the line with an underline, and the help. */
export function formatDiagnostic(d: Diagnostic, style: Style): string {
  const at = d.location;
  const tone = d.severity === 'error' ? 'red' : 'yellow';
  const place = at ? `${at.file}:${at.line}:${at.column}: ` : '';
  const lines = [`${place}${paint(tone, d.severity, style)}: ${paint('bold', visible(d.message), style)}`];
  if (at?.text !== undefined) {
    const end = at.endColumn ?? at.column + 1;
    const before = visible(at.text.slice(0, at.column - 1));
    const words = visible(at.text.slice(at.column - 1, end - 1));
    // Tabs stay tabs, so that the underline stands under the words however wide the terminal makes them.
    const indent = before
      .split('\t')
      .map((part) => ' '.repeat(stringWidth(part)))
      .join('\t');
    const underline = '^'.repeat(Math.max(1, stringWidth(words.replaceAll('\t', ' '))));
    lines.push(`  ${visible(at.text)}`, `  ${indent}${paint(tone, underline, style)}`);
  }
  if (d.help) lines.push(`${paint('cyan', 'help', style)}: ${visible(d.help)}`);
  return lines.join('\n');
}

/** The whole failure: message, where, what was tried, the end of a build's log, help. */
export function formatFailure(failure: Failure, style: Style): string {
  if (failure.kind === 'cancelled') return 'interrupted';
  if (failure.kind === 'diagnostics') return failure.diagnostics.map((d) => formatDiagnostic(d, style)).join('\n\n');
  const lines = [`${paint('red', 'error', style)}: ${paint('bold', failure.message, style)}`];
  if (failure.where) lines.push(`  at ${failure.where}`);
  for (const step of failure.tried ?? []) lines.push(`  tried: ${step}`);
  if ('log' in failure) lines.push(...failure.log.map((line) => `  | ${line}`));
  if (failure.help) lines.push(`${paint('cyan', 'help', style)}: ${failure.help}`);
  return lines.join('\n');
}
