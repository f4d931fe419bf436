// What the words of a command are once variables have their values, and whether a condition holds, as far as that is known.
import { basename, posix } from 'node:path';
import { parseShell, type Shell } from './shell.ts';
import { quotedParts, type Word } from './shell-words.ts';
import { concrete, hasSymbol, symbol, symbolsOf } from './symbols.ts';

export interface Call {
  words: string[];
  /** Line of the script, from 1. */
  line: number;
  /** Absolute; the checkout is `/`. */
  cwd: string;
  /** File that its output goes to, absolute. */
  output?: string;
  /** Whether that file is appended to. */
  appends: boolean;
  /** What its output is piped through. */
  pipedTo: string[][];
}

export interface Machine {
  vars: Map<string, string>;
  cwd: string;
  functions: Map<string, Shell>;
  /** Values of parameters, with which conditions are decided. */
  params: Readonly<Record<string, string>>;
  /** `amd64`, for `uname -m`. */
  arch: string;
  /** How much may still run: a script may call itself, or loop in loops. */
  budget: { steps: number };
  /** Line of the command whose words are read. */
  line: number;
  onCall(call: Call): void;
  /** What is taken for something near, as a part of a git tag is taken for the tag. */
  onDoubt(text: string, line: number): void;
  /** A command whose output is not known and goes into a variable. */
  onOutput(name: string, source: string, line: number): void;
}

/** Names that CI gives a value to and that a test for emptiness may ask for. */
const neverEmpty = new Set(['gitTag', 'branch', 'commit', 'date']);
export function resolvePath(cwd: string, path: string): string {
  const atHome = path.replace(/^(~|\$HOME|\uE000env\uE003HOME\uE001|\/home\/circleci)(?=\/|$)/, '/~');
  // Where CircleCI checks a project out, if nothing else is said.
  return posix.resolve(cwd, atHome.replace(/^\/~\/(project|repo)(?=\/|$)/, '/'));
}

/** `[ … ]`: undefined where it depends on something that is not known. */
export function test(args: string[]): boolean | undefined {
  const join = args.findLastIndex((arg) => arg === '||' || arg === '-o');
  const both = join < 0 ? args.findLastIndex((arg) => arg === '&&' || arg === '-a') : join;
  if (both > 0) {
    const [left, right] = [test(args.slice(0, both)), test(args.slice(both + 1))];
    if (join > 0) return left === true || right === true ? true : left === false && right === false ? false : undefined;
    return left === false || right === false ? false : left === true && right === true ? true : undefined;
  }
  const [first = '', second = '', third = ''] = args;
  if (first === '!') {
    const inner = test(args.slice(1));
    return inner === undefined ? undefined : !inner;
  }
  if (args.length <= 1) return isEmpty(first, true);
  if (args.length === 2) {
    if (first === '-z') return isEmpty(second);
    if (first === '-n') return isEmpty(second, true);
    return undefined;
  }
  const unknown = hasSymbol(first) || hasSymbol(third);
  switch (second) {
    case '=':
    case '==':
    case '!=': {
      const equal = first === third ? true : unknown ? undefined : matchesGlob(first, third);
      return equal === undefined ? undefined : (second === '!=') !== equal;
    }
    case '=~':
      try {
        return unknown ? undefined : new RegExp(third).test(first);
      } catch {
        return undefined;
      }
    case '-eq':
      return unknown ? undefined : Number(first) === Number(third);
    case '-ne':
      return unknown ? undefined : Number(first) !== Number(third);
    default:
      return undefined;
  }
}

function isEmpty(text: string, negated = false): boolean | undefined {
  const known =
    text === '' ||
    !hasSymbol(text) ||
    symbolsOf(text).some(({ kind, name }) => kind === 'config' && neverEmpty.has(name));
  const plain = text.replace(/\uE000[^\uE001]*\uE001/g, '') !== '';
  if (!known && !plain) return undefined;
  return (text === '') !== negated;
}

export function matchesGlob(text: string, glob: string): boolean | undefined {
  if (glob === '*') return true;
  if (hasSymbol(text) || hasSymbol(glob)) return text === glob ? true : undefined;
  const source = glob
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  try {
    return new RegExp(`^${source}$`).test(text);
  } catch {
    return text === glob;
  }
}

/** In characters: a script may double a text as often as it likes. */
const longest = 20_000;

/** The words that one word becomes: a variable outside quotes is split at spaces. */
export function expandWord(word: Word, machine: Machine, assignedTo = ''): string[] {
  const found: string[] = [];
  let current: string | undefined;
  for (const part of word) {
    const isList = part.kind === 'variable' && /^\[[@*]\]/.test(part.rest);
    const whole =
      part.kind === 'text'
        ? part.text
        : part.kind === 'variable'
          ? variable(part.name, part.rest, machine)
          : outputOf(part.source, machine, assignedTo);
    const text = whole.slice(0, longest);
    if (part.quoted && !isList) {
      current = (current ?? '') + text;
      continue;
    }
    if (part.kind === 'text') {
      current = (current ?? '') + text;
      continue;
    }
    const [first = '', ...rest] = text.trim().split(/\s+/);
    if (first !== '' || current !== undefined) current = (current ?? '') + first;
    for (const more of rest) {
      if (current !== undefined) found.push(current);
      current = more;
    }
  }
  if (current !== undefined) found.push(current);
  return found;
}

function variable(name: string, rest: string, machine: Machine): string {
  if (/^\d+$/.test(name) || /^[@*?$!#-]/.test(name)) return machine.vars.get(name) ?? '';
  const value = machine.vars.get(name);
  const other = (text: string): string => expandWord(quotedParts(text.replace(/^"(.*)"$/s, '$1')), machine).join(' ');
  const [, operator = '', operand = ''] = /^(:?[-=+?]|##?|%%?|\/\/?|:|\^\^?|,,?)(.*)$/s.exec(rest) ?? [];
  const given = value ?? symbol('env', name);
  // Only what is cut or changed needs the value itself.
  const changed = /^([#%/^,]|:\d)/.test(rest);
  const known = changed && !hasSymbol(concrete(given, machine.params)) ? concrete(given, machine.params) : given;
  const doubted = changed && symbolsOf(concrete(known, machine.params)).some(({ kind }) => kind === 'config');
  if (doubted) machine.onDoubt(`\${${name}${rest}} is taken as \${${name}}`, machine.line);
  const empty = value === undefined ? undefined : isEmpty(concrete(value, machine.params));
  switch (operator) {
    case ':-':
    case '-':
    case ':=':
    case '=':
      return value === undefined || empty ? other(operand) : value;
    case ':+':
    case '+':
      return value === undefined || empty ? '' : other(operand);
    case '#':
    case '##':
    case '%':
    case '%%':
      return hasSymbol(known) ? known : strip(known, operator, other(operand));
    case '/':
    case '//': {
      const [from = '', to = ''] = operand.split(/(?<!\\)\//);
      if (hasSymbol(known)) return known;
      return operator === '//'
        ? known.replaceAll(from.replaceAll('\\', ''), other(to))
        : known.replace(from.replaceAll('\\', ''), other(to));
    }
    case ':': {
      const [from = 0, length] = operand.split(':').map(Number);
      return hasSymbol(known) ? known : known.slice(from, length === undefined ? undefined : from + length);
    }
    case ',,':
      return hasSymbol(known) ? known : known.toLowerCase();
    case '^^':
      return hasSymbol(known) ? known : known.toUpperCase();
    default:
      return known;
  }
}

function strip(text: string, operator: string, glob: string): string {
  const lengths = [...Array(text.length + 1).keys()];
  if (operator.length === 2) lengths.reverse();
  const front = operator.startsWith('#');
  const length =
    lengths.find((n) => matchesGlob(front ? text.slice(0, n) : text.slice(text.length - n), glob) === true) ?? 0;
  return front ? text.slice(length) : text.slice(0, text.length - length);
}

/** What `$(…)` gives, where that is known. */
function outputOf(source: string, machine: Machine, assignedTo: string): string {
  const [only] = [parseShell(source)].flatMap((node) => (node.kind === 'list' ? node.items : [node]));
  const first = only?.kind === 'pipe' ? only.items[0] : only;
  const unknown = (): string => {
    machine.onOutput(assignedTo || 'value', source, machine.line);
    return symbol('output', assignedTo || 'value');
  };
  if (first?.kind !== 'command') return unknown();
  const words = first.words.flatMap((word) => expandWord(word, machine));
  const text = words.join(' ');
  if (words[0] === 'date') return symbol('config', 'date');
  if (/^(echo|printf)$/.test(words[0] ?? ''))
    return words
      .slice(1)
      .filter((word) => !/^(-[ne]+|%s(\\n)?)$/.test(word))
      .join(' ');
  if (/^git rev-parse .*(--abbrev-ref|--symbolic)/.test(text) || text === 'git branch --show-current')
    return symbol('config', 'branch');
  if (/^git (rev-parse|log|show) /.test(text)) return symbol('config', 'commit');
  if (/^git describe/.test(text)) return symbol('config', 'gitTag');
  if (/^uname -m/.test(text))
    return machine.arch === 'amd64' ? 'x86_64' : machine.arch === 'arm64' ? 'aarch64' : machine.arch;
  if (/^dpkg --print-architecture/.test(text)) return machine.arch;
  if (words[0] === 'pwd') return machine.cwd;
  if (words[0] === 'basename') return basename(words[1] ?? '');
  return unknown();
}
