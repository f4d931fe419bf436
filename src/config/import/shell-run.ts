// Runs a shell tree without running anything: variables get their values as far as they are known, conditions are decided where they
// can be, and each command that would run is reported. Where a condition is not known, both ways are taken.
import { basename, posix } from 'node:path';
import { parseShell, quotedParts, type Shell, type Word } from './shell.ts';
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
  /** Line of the command whose words are read. */
  line: number;
  onCall(call: Call): void;
  /** What is taken for something near, as a part of a git tag is taken for the tag. */
  onDoubt(text: string, line: number): void;
  /** A command whose output is not known and goes into a variable. */
  onOutput(name: string, source: string, line: number): void;
}

/** Whether it succeeds, where that is known, and whether the script ends there. */
interface Outcome {
  ok: boolean | undefined;
  ends?: boolean;
}

const done: Outcome = { ok: true };
/** Names that CI gives a value to and that a test for emptiness may ask for. */
const neverEmpty = new Set(['gitTag', 'branch', 'commit', 'date']);
const mayFail = /^(grep|egrep|command|which|type|curl|wget|jq|diff|cmp|false|timeout)$/;

export function runShell(text: string, machine: Machine): void {
  run(parseShell(text), machine, 0);
}

function run(node: Shell, machine: Machine, depth: number): Outcome {
  if (depth > 60) return done;
  const next = depth + 1;
  switch (node.kind) {
    case 'list': {
      let last = done;
      for (const item of node.items) {
        last = run(item, machine, next);
        if (last.ends) break;
      }
      return last;
    }
    case 'and':
    case 'or': {
      const left = run(node.left, machine, next);
      if (left.ends || left.ok === (node.kind === 'or')) return left;
      if (left.ok !== undefined) return run(node.right, machine, next);
      const right = maybe([() => run(node.right, machine, next)], machine);
      return { ok: undefined, ...(right.ends ? { ends: false } : {}) };
    }
    case 'not': {
      const { ok } = run(node.body, machine, next);
      return { ok: ok === undefined ? undefined : !ok };
    }
    case 'pipe':
      return runPipe(node.items, machine, next);
    case 'if': {
      const ways: (() => Outcome)[] = [];
      for (const { test, body } of node.cases) {
        const { ok } = run(test, machine, next);
        if (ok === false) continue;
        ways.push(() => run(body, machine, next));
        if (ok) return ways.length === 1 ? run(body, machine, next) : maybe(ways, machine);
      }
      const { otherwise } = node;
      if (ways.length === 0) return otherwise ? run(otherwise, machine, next) : done;
      if (otherwise) ways.push(() => run(otherwise, machine, next));
      return maybe(ways, machine);
    }
    case 'case': {
      const value = concrete(expandWord(node.word, machine).join(' '), machine.params);
      const ways: (() => Outcome)[] = [];
      for (const { patterns, body } of node.arms) {
        const matches = patterns.map((pattern) => matchesGlob(value, expandWord(pattern, machine).join(' ')));
        if (matches.includes(true)) {
          if (ways.length === 0) return run(body, machine, next);
          ways.push(() => run(body, machine, next));
          break;
        }
        if (matches.includes(undefined)) ways.push(() => run(body, machine, next));
      }
      return maybe(ways, machine);
    }
    case 'for': {
      for (const item of node.words.flatMap((word) => expandWord(word, machine)).slice(0, 50)) {
        machine.vars.set(node.name, item);
        if (run(node.body, machine, next).ends) break;
      }
      return done;
    }
    case 'loop':
      run(node.body, machine, next);
      return done;
    case 'function':
      machine.functions.set(node.name, node.body);
      return done;
    case 'group': {
      const inner = node.subshell ? { ...machine, vars: new Map(machine.vars) } : machine;
      const outcome = run(node.body, inner, next);
      return node.subshell ? { ok: outcome.ok } : outcome;
    }
    case 'command':
      return runCommand(node, machine, next, []);
  }
}

/** Takes ways of which one is gone or none: a variable that has a value before keeps it, another gets the first that is set. */
function maybe(ways: (() => Outcome)[], machine: Machine): Outcome {
  const before = new Map(machine.vars);
  const { cwd } = machine;
  const merged = new Map(before);
  for (const way of ways) {
    machine.vars = new Map(before);
    machine.cwd = cwd;
    if (way().ends) continue;
    for (const [name, value] of machine.vars) if (!merged.get(name)) merged.set(name, value);
  }
  machine.vars = merged;
  machine.cwd = cwd;
  return { ok: undefined };
}

function runPipe(items: Shell[], machine: Machine, depth: number): Outcome {
  const [first, ...rest] = items;
  const through = rest.map((item) =>
    item.kind === 'command' ? item.words.flatMap((word) => expandWord(word, machine)) : [],
  );
  const inner = { ...machine, vars: new Map(machine.vars) };
  if (first?.kind === 'command') {
    const last = rest.at(-1);
    const redirects = last?.kind === 'command' ? last.redirects : [];
    runCommand({ ...first, redirects: [...first.redirects, ...redirects] }, inner, depth, through);
  } else if (first) run(first, inner, depth);
  let outcome: Outcome = done;
  for (const item of rest) outcome = run(item, inner, depth);
  return { ok: outcome.ok };
}

function runCommand(
  node: Extract<Shell, { kind: 'command' }>,
  machine: Machine,
  depth: number,
  pipedTo: string[][],
): Outcome {
  machine.line = node.line;
  const words = node.words.flatMap((word) => expandWord(word, machine));
  for (const [name, value] of node.assigns) {
    const text = expandWord(
      value.map((part) => ({ ...part, quoted: true })),
      machine,
      name,
    ).join(' ');
    // An assignment in front of a command holds for that command alone; the difference is never seen here.
    machine.vars.set(name, text);
  }
  const [name = '', ...args] = words;
  const body = machine.functions.get(name);
  if (body) {
    const inner = {
      ...machine,
      vars: new Map([...machine.vars, ...args.map((arg, n): [string, string] => [String(n + 1), arg])]),
    };
    const outcome = run(body, inner, depth);
    for (const [key, value] of inner.vars) if (!/^\d+$/.test(key)) machine.vars.set(key, value);
    return { ok: outcome.ok };
  }
  switch (name) {
    case '':
    case ':':
    case 'true':
      return done;
    case 'export':
    case 'local':
    case 'declare':
    case 'readonly':
      for (const arg of args) {
        const [, key, value] = /^(\w+)=(.*)$/s.exec(arg) ?? [];
        if (key !== undefined) machine.vars.set(key, value ?? '');
      }
      return done;
    case 'unset':
      for (const arg of args) machine.vars.set(arg, '');
      return done;
    case 'cd':
    case 'pushd':
      machine.cwd = resolvePath(machine.cwd, args.find((arg) => !arg.startsWith('-')) ?? '~');
      return done;
    case 'popd':
      machine.cwd = '/';
      return done;
    case 'exit':
    case 'return':
      return { ok: args[0] === undefined || args[0] === '0', ends: true };
    case '[':
    case 'test':
    case '[[':
      return {
        ok: test(args.filter((arg) => arg !== ']' && arg !== ']]').map((arg) => concrete(arg, machine.params))),
      };
    case 'circleci-agent':
      if (args.includes('halt')) return { ok: true, ends: true };
      break;
    default:
  }
  const output = node.redirects.find(({ operator }) => /^1?(>|>>|>\|)$/.test(operator));
  const target = output ? expandWord(output.target, machine).join(' ') : undefined;
  machine.onCall({
    words,
    line: node.line,
    cwd: machine.cwd,
    appends: output?.operator.endsWith('>>') === true,
    pipedTo,
    ...(target === undefined
      ? {}
      : { output: /bash_env/i.test(target) ? '$BASH_ENV' : resolvePath(machine.cwd, target) }),
  });
  return {
    ok: mayFail.test(name) || /\b(inspect|diff|show-ref)\b/.test(words.slice(1, 3).join(' ')) ? undefined : true,
  };
}

export function resolvePath(cwd: string, path: string): string {
  if (/^(~|\$HOME|\uE000env\uE003HOME\uE001)/.test(path))
    return posix.join('/~', path.replace(/^(~|\$HOME|\uE000env\uE003HOME\uE001)/, ''));
  return posix.resolve(cwd, path);
}

/** `[ … ]`: undefined where it depends on something that is not known. */
function test(args: string[]): boolean | undefined {
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

function matchesGlob(text: string, glob: string): boolean | undefined {
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

/** The words that one word becomes: a variable outside quotes is split at spaces. */
export function expandWord(word: Word, machine: Machine, assignedTo = ''): string[] {
  const found: string[] = [];
  let current: string | undefined;
  for (const part of word) {
    const isList = part.kind === 'variable' && /^\[[@*]\]/.test(part.rest);
    const text =
      part.kind === 'text'
        ? part.text
        : part.kind === 'variable'
          ? variable(part.name, part.rest, machine)
          : outputOf(part.source, machine, assignedTo);
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
  const known = value ?? symbol('env', name);
  const doubted = /^([#%/^,]|:\d)/.test(rest) && symbolsOf(known).some(({ kind }) => kind === 'config');
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
