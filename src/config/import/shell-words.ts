// Cuts shell text into words and operators: quotes, variables, continuation lines and heredocs are understood here.

export type Part =
  | { kind: 'text'; text: string; quoted: boolean }
  /** `rest` is what follows the name inside the braces: `:-latest`. */
  | { kind: 'variable'; name: string; rest: string; quoted: boolean }
  | { kind: 'output'; source: string; quoted: boolean };
export type Word = Part[];

export type Token =
  | { kind: 'word'; word: Word; plain?: string; line: number }
  | { kind: 'operator'; text: string; line: number };

/** Lines count from 1. */
export function tokens(text: string): Token[] {
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
