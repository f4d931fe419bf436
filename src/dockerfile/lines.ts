// A Dockerfile's instructions and their words, by BuildKit's rules (frontend/dockerfile/parser): lines are joined, heredocs and comments
// left out, and where each character stood is kept, for pins.
import { lex } from './shell-lexer.ts';

/** Something that BuildKit refuses; offsets are UTF-16 code units. */
export interface Problem {
  message: string;
  range: { start: number; end: number };
  help?: string;
}

/** Lines that were joined. */
export interface Instruction {
  text: string;
  /** Where its parts stand in the file, and in `text`, in order. */
  parts: { start: number; at: number }[];
}

/** A word with line continuations taken out, and where each of its characters stands in the file. */
export interface Word {
  text: string;
  offsets: number[];
}

export interface DockerfileLines {
  instructions: Instruction[];
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
/** An empty line or a comment. */
const isIgnored = /^\s*(?:#|$)/;
/** A line that ends in an escape which is not escaped itself. */
const goesOnAfterBackslash = /(?:^|[^\\])\\[ \t]*$/;
const goesOnAfterBacktick = /(?:^|[^`])`[ \t]*$/;
const heredocWord = /^\d*<<(-?)\s*([^<]+)$/;

export function readLines(text: string): DockerfileLines {
  const lines = splitLines(text);
  const content = (line: Line): string => text.slice(line.start, line.end);
  const { escapeChar, syntax, problems } = readDirectives(text, lines);
  const goesOn = escapeChar === '`' ? goesOnAfterBacktick : goesOnAfterBackslash;
  const instructions: Instruction[] = [];

  for (let index = 0; index < lines.length; index++) {
    const first = lines[index];
    if (!first || isIgnored.test(content(first))) continue;
    const start = first.start + content(first).search(/\S/);
    const instruction: Instruction = { text: '', parts: [] };
    let line: Line = first;
    for (;;) {
      const from = line === first ? start : line.start;
      const part = text.slice(from, line.end);
      const last = part.lastIndexOf(escapeChar);
      const continued = last >= 0 && goesOn.test(part);
      instruction.parts.push({ start: from, at: instruction.text.length });
      instruction.text += continued ? part.slice(0, last) : part;
      if (!continued) break;
      // Comments and empty lines between the parts of an instruction are no part of it.
      let following = lines[++index];
      while (following && isIgnored.test(content(following))) following = lines[++index];
      if (!following) break;
      line = following;
    }
    instructions.push(instruction);
    const range = { start, end: Math.min(first.end, text.length) };
    for (const { name, chomp } of heredocs(instruction.text)) {
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
  return { instructions, escapeChar, ...(syntax ? { syntax } : {}), problems };
}

/** One after the other, as most instructions are only looked at for their first. Quoted and escaped blanks are part of a word. */
export function* wordsOf({ text, parts }: Instruction, escapeChar: string): Generator<Word, undefined> {
  let word: Word = { text: '', offsets: [] };
  let quote = '';
  let escaped = false;
  for (const [index, { start, at }] of parts.entries()) {
    const end = parts[index + 1]?.at ?? text.length;
    for (let place = at; place < end; place++) {
      const char = text.charAt(place);
      const ends = !escaped && quote === '' && isBlank(char);
      if (escaped) escaped = false;
      else if (char === escapeChar && quote !== "'") escaped = true;
      else if (quote === '' && (char === '"' || char === "'")) quote = char;
      else if (char === quote) quote = '';
      if (!ends) {
        word.text += char;
        word.offsets.push(start + place - at);
      } else if (word.text !== '') {
        yield word;
        word = { text: '', offsets: [] };
      }
    }
  }
  if (word.text !== '') yield word;
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\v' || char === '\f' || char === '\r';
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

/** The heredocs that a joined instruction opens. Only ADD, COPY and RUN can, and not in their JSON form. */
function heredocs(line: string): { name: string; chomp: boolean }[] {
  if (!line.includes('<<')) return [];
  const command = /^(?:onbuild\s+)?(?:add|copy|run)\s+(?:--\S+\s+)*(.*)$/is.exec(line);
  if (!command || isJson(command[1] ?? '')) return [];
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
