// Reads shell text into a tree. It knows what CI steps are written in (quotes, continuation lines, variables, if, for, case, functions,
// heredocs) and never fails: what it can't read becomes words of a command.

import { type Token, tokens, type Word } from './shell-words.ts';

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

const maxDepth = 40;

/** Lines count from 1. */
export function parseShell(text: string): Shell {
  return parseTokens(tokens(text));
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
