// Where a Dockerfile's instructions begin and end, by BuildKit's rules (frontend/dockerfile/parser), and the same text
// in a plain form of equal length for dockerfile-ast. dockerfile-ast alone takes a quoted `<<` for a heredoc, misses
// `<< EOF`, and goes on after a line that ends in an escaped backslash: each would lose the stages that follow.
import { lex } from './shell-lexer.ts';

/** Something that BuildKit refuses; offsets are UTF-16 code units. */
export interface Problem {
  message: string;
  range: { start: number; end: number };
  help?: string;
}

export interface DockerfileLines {
  /** As long as the text: no comments, heredocs, quotes or carriage returns, and `\` only where a line goes on. */
  plain: string;
  /** Is this character left out when lines are joined: the escape at a line's end, the break, comments between? */
  isDropped: (offset: number) => boolean;
  /** What `# escape=` says, or `\`. */
  escapeChar: string;
  /** Image of `# syntax=`. */
  syntax?: string;
  problems: Problem[];
}

interface Line {
  start: number;
  /** Without the line break. */
  end: number;
  /** Start of the next line. */
  next: number;
}

const directive = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const heredocWord = /^\d*<<(-?)\s*([^<]+)$/;

export function readLines(text: string): DockerfileLines {
  const plain = text.replace(/[^\n]/g, ' ').split('');
  const dropped = new Uint8Array(text.length);
  const lines = splitLines(text);
  const content = (line: Line): string => text.slice(line.start, line.end);
  const { escapeChar, syntax, problems } = readDirectives(text, lines);
  const goesOn = new RegExp(`(?:^|[^\\${escapeChar}])\\${escapeChar}[ \\t]*$`);

  for (let index = 0; index < lines.length; index++) {
    const first = lines[index];
    if (!first || /^\s*(?:#|$)/.test(content(first))) continue;
    const start = first.start + content(first).search(/\S/);
    const kept: number[] = [];
    let line: Line = first;
    for (;;) {
      const from = line === first ? start : line.start;
      const continued = goesOn.test(text.slice(from, line.end));
      const end = continued ? text.lastIndexOf(escapeChar, line.end - 1) : line.end;
      for (let offset = from; offset < end; offset++) kept.push(offset);
      if (!continued) break;
      // Comments and empty lines between the parts of an instruction are no part of it.
      let following = lines[++index];
      while (following && /^\s*(?:#|$)/.test(content(following))) following = lines[++index];
      if (!following) break;
      plain[end] = '\\';
      dropped.fill(1, end, following.start);
      line = following;
    }
    writePlain(text, kept, escapeChar, plain);
    const range = { start, end: Math.min(first.end, text.length) };
    for (const { name, chomp } of heredocs(kept.map((offset) => text[offset]).join(''))) {
      let found = false;
      while (!found && index + 1 < lines.length) {
        const body = lines[++index];
        found = body !== undefined && (chomp ? content(body).replace(/^\t+/, '') : content(body)) === name;
      }
      if (!found) {
        problems.push({
          message: `the heredoc '${name}' is not ended`,
          range,
          help: `write ${name} alone on a line, after the heredoc's last`,
        });
      }
    }
  }
  return { plain: plain.join(''), isDropped: (offset) => dropped[offset] === 1, escapeChar, syntax, problems };
}

function splitLines(text: string): Line[] {
  const lines: Line[] = [];
  for (let start = text.startsWith('\uFEFF') ? 1 : 0; start < text.length; ) {
    const found = text.indexOf('\n', start);
    const next = found < 0 ? text.length : found + 1;
    let end = found < 0 ? text.length : found;
    while (end > start && text[end - 1] === '\r') end--;
    lines.push({ start, end, next });
    start = next;
  }
  return lines;
}

/** Directives stand above everything else, each once. A `#!` line is skipped where the syntax is looked for. */
function readDirectives(text: string, lines: Line[]): { escapeChar: string; syntax?: string; problems: Problem[] } {
  const problems: Problem[] = [];
  const seen = new Map<string, string>();
  let shebang = false;
  for (const [index, { start, end }] of lines.entries()) {
    const content = text.slice(start, end);
    if (index === 0 && content.startsWith('#!')) {
      shebang = true;
      continue;
    }
    const [, name = '', value = ''] = directive.exec(content.trimStart()) ?? [];
    const key = name.toLowerCase();
    if (key !== 'syntax' && key !== 'escape' && key !== 'check') break;
    if (seen.has(key)) {
      problems.push({ message: `the directive '${key}' is written twice`, range: { start, end } });
      break;
    }
    seen.set(key, value);
    if (key === 'escape' && value !== '\\' && value !== '`') {
      problems.push({
        message: `'${value}' can't be the escape character`,
        range: { start, end },
        help: 'write \\ or `',
      });
    }
  }
  const syntax = seen.get('syntax')?.split(' ')[0];
  const escapeChar = seen.get('escape') === '`' && !shebang ? '`' : '\\';
  return { escapeChar, ...(syntax ? { syntax } : {}), problems };
}

/** Writes an instruction's characters so that blanks only stand between words, and nothing else is special. */
function writePlain(text: string, kept: number[], escapeChar: string, plain: string[]): void {
  let quote = '';
  let escaped = false;
  for (const offset of kept) {
    const char = text.charAt(offset);
    const blank = /[\t\v\f\r ]/.test(char);
    let written = blank ? ' ' : /[\\`"'<#]/.test(char) ? '_' : char;
    if (escaped) {
      escaped = false;
      if (blank) written = '_';
    } else if (char === escapeChar && quote !== "'") escaped = true;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
    else if (blank && quote !== '') written = '_';
    plain[offset] = written;
  }
}

/** The heredocs that a joined instruction opens. Only ADD, COPY and RUN can, and not in their JSON form. */
function heredocs(line: string): { name: string; chomp: boolean }[] {
  const command = /^(?:onbuild\s+)?(?:add|copy|run)\s+(?:--\S+\s+)*(.*)$/is.exec(line);
  if (!command || !line.includes('<<') || isJson(command[1] ?? '')) return [];
  const options = { escapeChar: '\\', lookup: () => undefined, keepUnset: true };
  const words = lex(line, { ...options, keepQuotes: true, keepEscapes: true });
  if (!words.ok) return [];
  return words.value.words.flatMap((word) => {
    const match = heredocWord.exec(word);
    const names = match ? lex(match[2] ?? '', options) : undefined;
    if (!names?.ok || names.value.words.length !== 1) return [];
    return [{ name: names.value.words[0] ?? '', chomp: match?.[1] === '-' }];
  });
}

function isJson(text: string): boolean {
  if (!text.trimStart().startsWith('[')) return false;
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) && parsed.every((item) => typeof item === 'string');
  } catch {
    return false;
  }
}
