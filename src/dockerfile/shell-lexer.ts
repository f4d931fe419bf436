// The little shell that a Dockerfile's words are written in: quotes, escapes and `${X…}`, by BuildKit's rules
// (frontend/dockerfile/shell). Also splits a line into words, which is how BuildKit finds heredocs.
import { PatternError, replace, trim } from './shell-pattern.ts';

export interface LexerOptions {
  /** `\`, or what `# escape=` says. */
  escapeChar: string;
  /** Value of a variable; undefined where it is not set. */
  lookup: (name: string) => string | undefined;
  /** Leaves `$X` as written where X is not set; otherwise it is nothing. */
  keepUnset?: boolean;
  keepQuotes?: boolean;
  keepEscapes?: boolean;
}

export interface Lexed {
  /** The whole text, expanded. */
  value: string;
  /** Split at blanks outside of quotes, after expansion. */
  words: string[];
  /** Variables that it names. */
  used: string[];
  /** Those of them that are not set. */
  missing: string[];
}

/** `${a:-${b:-…}}` in each other: nobody writes more, and each takes room on the stack. */
const maxDepth = 100;

/** What BuildKit would say: a quote that isn't closed, a bad substitution, `${X:?message}`. */
class LexError extends Error {}

/** Expands a word; a message instead where the word is malformed. */
export function lex(text: string, options: LexerOptions): { ok: true; value: Lexed } | { ok: false; message: string } {
  const lexer = new Lexer([...text], options);
  try {
    const { value, words } = lexer.until(undefined, options.keepEscapes ?? false, false);
    return { ok: true, value: { value, words, used: [...lexer.used], missing: [...lexer.missing] } };
  } catch (error) {
    if (error instanceof LexError || error instanceof PatternError) return { ok: false, message: error.message };
    throw error;
  }
}

class Lexer {
  readonly used = new Set<string>();
  readonly missing = new Set<string>();
  private at = 0;
  private depth = 0;
  private readonly text: string[];
  private readonly options: LexerOptions;

  constructor(text: string[], options: LexerOptions) {
    this.text = text;
    this.options = options;
  }

  /**
   * Reads up to `stop`, which it swallows, or to the end. In a pattern, escapes are kept for the pattern to read,
   * and those that quotes make literal are doubled.
   */
  until(stop: string | undefined, keepEscapes: boolean, pattern: boolean): { value: string; words: string[] } {
    if (++this.depth > maxDepth) throw new LexError('variables are nested too deeply');
    const words: string[] = [];
    let value = '';
    let word = '';
    const literal = (text: string): void => {
      value += text;
      word += text;
    };
    const plain = (text: string): void => {
      value += text;
      for (const char of text) {
        if (!/\s/.test(char)) word += char;
        else if (word !== '') {
          words.push(word);
          word = '';
        }
      }
    };
    for (let char = this.peek(); char !== undefined; char = this.peek()) {
      if (char === stop) {
        this.at++;
        this.depth--;
        return { value, words };
      }
      if (char === "'") literal(this.singleQuoted(pattern));
      else if (char === '"') literal(this.doubleQuoted(keepEscapes, pattern));
      else if (char === '$') plain(this.variable());
      else if (char === '<') literal(this.arrow());
      else if (char === this.options.escapeChar) {
        this.at++;
        const escaped = this.next();
        literal((keepEscapes ? char : '') + (escaped ?? ''));
      } else {
        this.at++;
        plain(char);
      }
    }
    if (stop !== undefined) throw new LexError(`'${stop}' is missing`);
    if (word !== '') words.push(word);
    return { value, words };
  }

  private peek(): string | undefined {
    return this.text[this.at];
  }

  private next(): string | undefined {
    return this.text[this.at++];
  }

  private singleQuoted(pattern: boolean): string {
    const quote = this.options.keepQuotes ? "'" : '';
    let result = '';
    this.at++;
    for (let char = this.next(); char !== undefined; char = this.next()) {
      if (char === "'") return quote + result + quote;
      result += pattern && char === this.options.escapeChar ? char + char : char;
    }
    throw new LexError("a single quote (') is not closed");
  }

  private doubleQuoted(keepEscapes: boolean, pattern: boolean): string {
    const { escapeChar, keepQuotes = false } = this.options;
    const quote = keepQuotes ? '"' : '';
    let result = '';
    this.at++;
    for (let char = this.peek(); char !== undefined; char = this.peek()) {
      if (char === '$') {
        result += this.variable();
        continue;
      }
      this.at++;
      if (char === '"') return quote + result + quote;
      if (char === escapeChar) {
        const escaped = this.peek();
        if (escaped === undefined) continue;
        if (escaped === '"' || escaped === '$' || escaped === escapeChar) {
          result += (keepEscapes ? char : '') + escaped;
          this.at++;
          continue;
        }
        // A backslash before any other character is itself; in a pattern it has to be escaped to stay so.
        if (keepEscapes && (!keepQuotes || pattern)) result += char;
      }
      result += char;
    }
    throw new LexError('a double quote (") is not closed');
  }

  /** `<`, or `<<` with the blanks after it: a heredoc's name may stand apart from it. */
  private arrow(): string {
    this.at++;
    if (this.peek() !== '<') return '<';
    this.at++;
    let result = '<<';
    for (let char = this.peek(); char === ' ' || char === '\t' || char === '\r'; char = this.peek()) {
      result += char;
      this.at++;
    }
    return result;
  }

  private variable(): string {
    this.at++;
    if (this.peek() !== '{') {
      const name = this.name();
      if (name === '') return '$';
      return this.get(name) ?? (this.options.keepUnset ? `$${name}` : '');
    }
    this.at++;
    const first = this.peek();
    if (first === undefined) throw new LexError("'}' is missing");
    if (first === '{' || first === '}' || first === ':') throw new LexError('bad substitution');
    const name = this.name();
    let operator = this.next() ?? '';
    if (operator === '') throw new LexError("'}' is missing");
    if (operator === '}') return this.get(name) ?? (this.options.keepUnset ? `\${${name}}` : '');
    if (operator === '/') return this.replaced(name);
    const emptyIsUnset = operator === ':';
    if (emptyIsUnset) operator = this.next() ?? '';
    const trims = operator === '#' || operator === '%';
    if (operator === '' || !'+-?#%'.includes(operator) || (emptyIsUnset && trims)) {
      throw new LexError(`unsupported modifier (${emptyIsUnset ? ':' : ''}${operator}) in substitution`);
    }
    const { value: operand } = this.until('}', trims, trims);
    const value = this.get(name);
    if (value === undefined && this.options.keepUnset) {
      return `\${${name}${emptyIsUnset ? ':' : ''}${operator}${operand}}`;
    }
    const present = value !== undefined && !(emptyIsUnset && value === '');
    switch (operator) {
      case '-':
        return present ? value : operand;
      case '+':
        return present ? operand : '';
      case '?':
        if (!present) throw new LexError(`${name}: ${operand || `must be set${emptyIsUnset ? ' and not empty' : ''}`}`);
        return value;
      default:
        return trim(value ?? '', operand, operator === '%');
    }
  }

  /** `${X/pattern/replacement}` and `${X//pattern/replacement}`, after the first slash. */
  private replaced(name: string): string {
    const all = this.peek() === '/';
    if (all) this.at++;
    const { value: pattern } = this.until('/', true, true);
    const { value: replacement } = this.until('}', true, false);
    const value = this.get(name);
    if (value === undefined && this.options.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return replace(value ?? '', pattern, replacement, all);
  }

  private name(): string {
    const first = this.peek();
    if (first === undefined) return '';
    if ('@*#?-$!'.includes(first)) {
      this.at++;
      return first;
    }
    const allowed = /\p{Nd}/u.test(first) ? /\p{Nd}/u : /[\p{L}\p{Nd}_]/u;
    let name = '';
    for (let char = this.peek(); char !== undefined && allowed.test(char); char = this.peek()) {
      name += char;
      this.at++;
    }
    return name;
  }

  private get(name: string): string | undefined {
    const value = this.options.lookup(name);
    this.used.add(name);
    if (value === undefined) this.missing.add(name);
    return value;
  }
}
