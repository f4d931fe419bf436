// Reads shell text into a tree. It knows what CI steps are written in (quotes, continuation lines, variables, if, for, case, functions,
// heredocs) and never fails: what it can't read becomes words of a command.

export type Part =
  | { kind: 'text'; text: string; quoted: boolean }
  /** `rest` is what follows the name inside the braces: `:-latest`. */
  | { kind: 'variable'; name: string; rest: string; quoted: boolean }
  | { kind: 'output'; source: string; quoted: boolean };
export type Word = Part[];

export interface Redirect {
  /** `>`, `>>`, `<` and so on. */
  operator: string;
  target: Word;
}

export type Shell =
  | { kind: 'command'; assigns: [string, Word][]; words: Word[]; redirects: Redirect[]; line: number }
  | { kind: 'list'; items: Shell[] }
  | { kind: 'pipe'; items: Shell[] }
  | { kind: 'and' | 'or'; left: Shell; right: Shell }
  | { kind: 'not'; body: Shell }
  | { kind: 'if'; cases: { test: Shell; body: Shell }[]; otherwise?: Shell; line: number }
  | { kind: 'for'; name: string; words: Word[]; body: Shell }
  | { kind: 'loop'; body: Shell }
  | { kind: 'case'; word: Word; arms: { patterns: Word[]; body: Shell }[]; line: number }
  | { kind: 'function'; name: string; body: Shell }
  | { kind: 'group'; body: Shell; subshell: boolean };

type Token =
  | { kind: 'word'; word: Word; plain?: string; line: number }
  | { kind: 'operator'; text: string; line: number };

const maxDepth = 40;

/** Lines count from 1. */
export function parseShell(text: string): Shell {
  return parseTokens(tokens(text));
}

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const heredocs: { end: string; strip: boolean }[] = [];
  let at = 0;
  let line = 1;
  let skipsTo = 0;
  while (at < text.length) {
    const char = text[at] ?? '';
    if (char === '\\' && text[at + 1] === '\n') {
      at += 2;
      line++;
    } else if (char === '\n') {
      found.push({ kind: 'operator', text: '\n', line });
      at++;
      line++;
      for (const { end, strip } of heredocs.splice(0)) {
        while (at < text.length) {
          const stop = text.indexOf('\n', at);
          const row = text.slice(at, stop < 0 ? text.length : stop);
          at = stop < 0 ? text.length : stop + 1;
          line++;
          if ((strip ? row.trimStart() : row) === end) break;
        }
      }
    } else if (/\s/.test(char)) at++;
    else if (char === '#') {
      const stop = text.indexOf('\n', at);
      at = stop < 0 ? text.length : stop;
    } else {
      const operator = /^(?:\d?(?:>>|>&|>\||<<<|<<-?|<&|<>|&>>?|[<>])|&&|\|\||;;|\|&|[;&|()])/.exec(
        text.slice(at, at + 4),
      )?.[0];
      if (operator !== undefined) {
        at += operator.length;
        const heredoc = /^\d?<<(-?)$/.exec(operator);
        if (heredoc) {
          const name = /^\s*(['"\\]?)([\w.-]+)\1?/.exec(text.slice(at, at + 100));
          at += name?.[0].length ?? 0;
          if (name) heredocs.push({ end: name[2] ?? '', strip: heredoc[1] === '-' });
        } else found.push({ kind: 'operator', text: operator, line });
      } else {
        const read = readWord(text, at);
        const [only] = read.word;
        const plain = read.word.length === 1 && only?.kind === 'text' && !only.quoted ? { plain: only.text } : {};
        found.push({ kind: 'word', word: read.word, ...plain, line });
        skipsTo = Math.max(read.end, at + 1);
        line += text.slice(at, skipsTo).split('\n').length - 1;
        at = skipsTo;
      }
    }
  }
  return found;
}

/** One word from a place in the text, with the place behind it. */
function readWord(text: string, from: number): { word: Word; end: number } {
  const word: Word = [];
  let plain = '';
  const flush = (): void => {
    if (plain !== '') word.push({ kind: 'text', text: plain, quoted: false });
    plain = '';
  };
  let at = from;
  while (at < text.length) {
    const char = text[at] ?? '';
    if (/[\s;&|<>()]/.test(char)) {
      // `A=(x y)`: a list is one text with spaces between.
      if (char !== '(' || !/^\w+\+?=$/.test(plain)) break;
      const end = closing(text, at, '(', ')');
      flush();
      const inner = readAll(text.slice(at + 1, end - 1));
      word.push(...inner);
      at = end;
    } else if (char === '\\') {
      if (text[at + 1] !== '\n') plain += text[at + 1] ?? '';
      at += 2;
    } else if (char === "'") {
      const end = text.indexOf("'", at + 1);
      flush();
      word.push({ kind: 'text', text: text.slice(at + 1, end < 0 ? text.length : end), quoted: true });
      at = end < 0 ? text.length : end + 1;
    } else if (char === '"') {
      flush();
      const end = quoteEnd(text, at);
      word.push(...quotedParts(text.slice(at + 1, end)));
      at = end + 1;
    } else if (char === '$' || char === '`') {
      const read = readDollar(text, at, false);
      if (read) {
        flush();
        word.push(read.part);
        at = read.end;
      } else {
        plain += char;
        at++;
      }
    } else {
      plain += char;
      at++;
    }
  }
  flush();
  return { word, end: at };
}

/** The words of a list, as parts with spaces between. */
function readAll(text: string): Word {
  return tokens(text).flatMap((token): Part[] =>
    token.kind === 'word' ? [...token.word, { kind: 'text', text: ' ', quoted: false }] : [],
  );
}

/** What stands between double quotes. */
export function quotedParts(text: string): Word {
  const parts: Word = [];
  let plain = '';
  let at = 0;
  while (at < text.length) {
    const char = text[at] ?? '';
    const next = text[at + 1] ?? '';
    const read = char === '$' || char === '`' ? readDollar(text, at, true) : undefined;
    if (read) {
      if (plain !== '') parts.push({ kind: 'text', text: plain, quoted: true });
      plain = '';
      parts.push(read.part);
      at = read.end;
    } else if (char === '\\' && '$`"\\\n'.includes(next)) {
      if (next !== '\n') plain += next;
      at += 2;
    } else {
      plain += char;
      at++;
    }
  }
  if (plain !== '' || parts.length === 0) parts.push({ kind: 'text', text: plain, quoted: true });
  return parts;
}

function readDollar(text: string, at: number, quoted: boolean): { part: Part; end: number } | undefined {
  if (text[at] === '`') {
    const end = text.indexOf('`', at + 1);
    const stop = end < 0 ? text.length : end;
    return { part: { kind: 'output', source: text.slice(at + 1, stop), quoted }, end: stop + 1 };
  }
  if (text[at + 1] === '(') {
    const end = closing(text, at + 1, '(', ')');
    return { part: { kind: 'output', source: text.slice(at + 2, end - 1), quoted }, end };
  }
  if (text[at + 1] === '{') {
    const end = closing(text, at + 1, '{', '}');
    const inner = /^([#!]?)(\w+|[@*?$!#-])(.*)$/s.exec(text.slice(at + 2, end - 1));
    const [, mark = '', name = '', rest = ''] = inner ?? [];
    return { part: { kind: 'variable', name: mark + name, rest, quoted }, end };
  }
  const name = /^\$(\w+|[@*?$!#-])/.exec(text.slice(at, at + 200))?.[1];
  return name === undefined
    ? undefined
    : { part: { kind: 'variable', name, rest: '', quoted }, end: at + 1 + name.length };
}

/** The place behind the bracket that closes the one at `from`. */
function closing(text: string, from: number, open: string, close: string): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === '\\') at++;
    else if (char === "'" && open === '(') {
      const end = text.indexOf("'", at + 1);
      if (end > 0) at = end;
    } else if (char === open) depth++;
    else if (char === close && --depth === 0) return at + 1;
  }
  return text.length;
}

/** The place of the closing double quote. */
function quoteEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '$' && text[at + 1] === '(') at = closing(text, at + 1, '(', ')') - 1;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

const closers = new Set(['then', 'elif', 'else', 'fi', 'do', 'done', 'esac', '}']);

function parseTokens(all: Token[]): Shell {
  let at = 0;
  const peek = (): Token | undefined => all[at];
  const isOperator = (...texts: string[]): boolean => {
    const token = peek();
    return token?.kind === 'operator' && texts.includes(token.text);
  };
  const plain = (): string | undefined => {
    const token = peek();
    return token?.kind === 'word' ? token.plain : undefined;
  };
  const accept = (text: string): boolean => {
    if (plain() !== text && !isOperator(text)) return false;
    at++;
    return true;
  };
  const skipNewlines = (): void => {
    while (isOperator('\n', ';')) at++;
  };
  const list = (depth: number, ends: (word: string) => boolean): Shell => {
    const items: Shell[] = [];
    while (at < all.length) {
      while (isOperator('\n', ';', '&')) at++;
      const word = plain();
      if (at >= all.length || isOperator(')', ';;') || (word !== undefined && closers.has(word) && ends(word))) break;
      const before = at;
      items.push(andOr(depth));
      if (at === before) at++;
    }
    return { kind: 'list', items };
  };
  const andOr = (depth: number): Shell => {
    let left = pipe(depth);
    while (isOperator('&&', '||')) {
      const kind = isOperator('&&') ? 'and' : 'or';
      at++;
      while (isOperator('\n')) at++;
      left = { kind, left, right: pipe(depth) };
    }
    return left;
  };
  const pipe = (depth: number): Shell => {
    if (accept('!')) return { kind: 'not', body: pipe(depth) };
    const items = [command(depth)];
    while (isOperator('|', '|&')) {
      at++;
      while (isOperator('\n')) at++;
      items.push(command(depth));
    }
    return items.length === 1 && items[0] ? items[0] : { kind: 'pipe', items };
  };
  const any = (): boolean => true;
  const command = (depth: number): Shell => {
    const line = peek()?.line ?? 1;
    if (depth > maxDepth) return simple();
    if (accept('(')) {
      const body = list(depth + 1, any);
      accept(')');
      redirects();
      return { kind: 'group', body, subshell: true };
    }
    switch (plain()) {
      case '{': {
        at++;
        const body = list(depth + 1, (word) => word === '}');
        accept('}');
        redirects();
        return { kind: 'group', body, subshell: false };
      }
      case 'if': {
        const cases: { test: Shell; body: Shell }[] = [];
        let otherwise: Shell | undefined;
        do {
          at++;
          const test = list(depth + 1, any);
          accept('then');
          cases.push({ test, body: list(depth + 1, any) });
        } while (plain() === 'elif');
        if (accept('else')) otherwise = list(depth + 1, any);
        accept('fi');
        return { kind: 'if', cases, line, ...(otherwise ? { otherwise } : {}) };
      }
      case 'for': {
        at++;
        const name = plain() ?? '';
        at++;
        const words: Word[] = [];
        skipNewlines();
        if (accept('in')) {
          for (let token = peek(); token?.kind === 'word'; token = peek()) {
            words.push(token.word);
            at++;
          }
        }
        skipNewlines();
        accept('do');
        const body = list(depth + 1, any);
        accept('done');
        return { kind: 'for', name, words, body };
      }
      case 'while':
      case 'until': {
        at++;
        list(depth + 1, any);
        accept('do');
        const body = list(depth + 1, any);
        accept('done');
        redirects();
        return { kind: 'loop', body };
      }
      case 'case':
        return caseOf(depth, line);
      case 'function': {
        at++;
        const name = plain() ?? '';
        at++;
        if (accept('(')) accept(')');
        skipNewlines();
        return { kind: 'function', name, body: command(depth + 1) };
      }
      default:
    }
    const [, open, close] = all.slice(at, at + 3);
    if (open?.kind === 'operator' && open.text === '(' && close?.kind === 'operator' && close.text === ')') {
      const name = plain() ?? '';
      at += 3;
      skipNewlines();
      return { kind: 'function', name, body: command(depth + 1) };
    }
    return simple();
  };
  const caseOf = (depth: number, line: number): Shell => {
    at++;
    const token = peek();
    const word = token?.kind === 'word' ? token.word : [];
    at++;
    skipNewlines();
    accept('in');
    const arms: { patterns: Word[]; body: Shell }[] = [];
    while (at < all.length) {
      skipNewlines();
      if (accept('esac')) break;
      accept('(');
      const patterns: Word[] = [];
      while (at < all.length && !isOperator(')', '\n', ';')) {
        const pattern = peek();
        if (pattern?.kind === 'word') patterns.push(pattern.word);
        at++;
      }
      accept(')');
      arms.push({ patterns, body: list(depth + 1, any) });
      accept(';;');
    }
    return { kind: 'case', word, arms, line };
  };
  const redirects = (): Redirect[] => {
    const found: Redirect[] = [];
    for (let token = peek(); token?.kind === 'operator' && /[<>]/.test(token.text); token = peek()) {
      at++;
      const target = peek();
      if (target?.kind !== 'word') continue;
      at++;
      found.push({ operator: token.text, target: target.word });
    }
    return found;
  };
  const simple = (): Shell => {
    const line = peek()?.line ?? 1;
    const assigns: [string, Word][] = [];
    const words: Word[] = [];
    const found: Redirect[] = [];
    const inTest = plain() === '[[';
    while (at < all.length) {
      found.push(...redirects());
      const token = peek();
      if (token?.kind === 'operator' && inTest && words.length > 0 && /^(&&|\|\||[()])$/.test(token.text)) {
        words.push([{ kind: 'text', text: token.text, quoted: false }]);
        at++;
        continue;
      }
      if (token?.kind !== 'word') break;
      at++;
      const [first, ...rest] = token.word;
      const assign =
        words.length === 0 && first?.kind === 'text' && !first.quoted ? /^(\w+)\+?=(.*)$/s.exec(first.text) : null;
      if (assign) {
        const value: Word = assign[2] ? [{ kind: 'text', text: assign[2], quoted: false }, ...rest] : rest;
        assigns.push([assign[1] ?? '', value]);
      } else words.push(token.word);
      if (inTest && token.plain === ']]') break;
    }
    found.push(...redirects());
    return { kind: 'command', assigns, words, redirects: found, line };
  };
  return list(0, () => false);
}
