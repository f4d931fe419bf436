// A Dockerfile's stages as far as images are concerned: what a stage is built FROM, and what it copies or mounts from.
import { distance } from 'fastest-levenshtein';
import { type Problem, readLines, type Word, wordsOf } from './lines.ts';

/** `COPY --from=` or a mount's `from=`. */
export interface Source {
  instruction: 'COPY' | 'RUN';
  from: Word;
  /** Written in an ONBUILD: it is run by the stage that is built FROM this one. */
  onbuild: boolean;
}

export interface Stage {
  image: Word;
  platform?: Word;
  /** Lower-cased. */
  name?: string;
  sources: Source[];
}

export interface ParsedDockerfile {
  text: string;
  escapeChar: string;
  syntax?: string;
  /** ARGs above the first FROM, in order; only these are known to a FROM. */
  args: { name: string; value?: string; range: Problem['range'] }[];
  stages: Stage[];
  problems: Problem[];
}

const keywords = [
  ...['ADD', 'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'FROM', 'HEALTHCHECK', 'LABEL', 'MAINTAINER'],
  ...['ONBUILD', 'RUN', 'SHELL', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'],
];

export function parseDockerfile(text: string): ParsedDockerfile {
  const lines = readLines(text);
  const { escapeChar, syntax } = lines;
  const parsed: ParsedDockerfile = {
    text,
    escapeChar,
    ...(syntax ? { syntax } : {}),
    args: [],
    stages: [],
    problems: lines.problems,
  };
  const reader = new Reader(parsed);
  for (const instruction of lines.instructions) {
    const words = wordsOf(instruction, escapeChar);
    const keyword = words.next();
    if (!keyword.done) reader.read(keyword.value, words);
  }
  if (parsed.stages.length === 0 && parsed.problems.length === 0) {
    const start = text.search(/\S/);
    parsed.problems.push({
      message: start < 0 ? 'the Dockerfile is empty' : 'there is no FROM: nothing to build',
      range: { start: Math.max(start, 0), end: Math.max(start, 0) },
      help: 'begin with FROM <image>',
    });
  }
  return parsed;
}

class Reader {
  private readonly parsed: ParsedDockerfile;

  constructor(parsed: ParsedDockerfile) {
    this.parsed = parsed;
  }

  /** `words` are those after the keyword. */
  read(word: Word, words: Iterator<Word, undefined>): void {
    const keyword = word.text.toUpperCase();
    if (!keywords.includes(keyword)) this.unknown(word);
    else if (keyword === 'FROM') this.from(word, words);
    else if (this.parsed.stages.length > 0) {
      if (keyword === 'ONBUILD') this.onbuild(word, words);
      else this.sources(word, words, false);
    } else if (keyword === 'ARG') this.arg(word, words);
    else this.problem(word, `${keyword} stands before the first FROM`, 'only ARG may stand there');
  }

  private onbuild(onbuild: Word, words: Iterator<Word, undefined>): void {
    const { value: trigger } = words.next();
    const keyword = trigger?.text.toUpperCase() ?? '';
    if (!trigger) this.problem(onbuild, 'ONBUILD is given no instruction');
    else if (keyword === 'FROM' || keyword === 'ONBUILD' || keyword === 'MAINTAINER') {
      this.problem(trigger, `${keyword} can't be an ONBUILD trigger`);
    } else if (!keywords.includes(keyword)) this.unknown(trigger);
    else this.sources(trigger, words, true);
  }

  private arg(keyword: Word, words: Iterator<Word, undefined>): void {
    const given = rest(words);
    if (given.length === 0) this.problem(keyword, 'ARG is given no name');
    for (const word of given) {
      const { text } = word;
      const range = rangeOf(word);
      const equals = text.indexOf('=');
      if (equals === 0) this.problem(keyword, 'ARG is given no name', 'write ARG NAME=value, without blanks');
      else if (equals < 0) this.parsed.args.push({ name: text, range });
      else this.parsed.args.push({ name: text.slice(0, equals), value: text.slice(equals + 1), range });
    }
  }

  private from(keyword: Word, words: Iterator<Word, undefined>): void {
    const { flags, next } = this.flags(words);
    const given = next ? [next, ...rest(words)] : [];
    const [image, as, name] = given;
    // After a FROM that can't be read the instructions still belong to some stage.
    const stage: Stage = { image: image ?? { text: '', offsets: [] }, sources: [] };
    this.parsed.stages.push(stage);
    if (!image) this.problem(keyword, 'FROM is given no image', 'write FROM <image> [AS <name>]');
    else if (given.length !== 1 && (given.length !== 3 || as?.text.toLowerCase() !== 'as')) {
      this.problem(keyword, 'FROM takes an image, or an image, AS and a name', 'FROM <image> [AS <name>]');
    } else if (name) {
      stage.name = name.text.toLowerCase();
      if (!/^[a-z][a-z0-9\-_.]*$/.test(stage.name)) {
        this.problem(
          keyword,
          `'${name.text}' can't be the name of a stage`,
          "it begins with a letter; letters, digits, '-', '_' and '.' may follow",
        );
      }
    }
    for (const flag of flags) {
      if (flag.name === 'platform') stage.platform = flag.value;
      else this.problem(keyword, `FROM has no flag --${flag.name}`, 'its only flag is --platform=');
    }
  }

  private sources(word: Word, words: Iterator<Word, undefined>, onbuild: boolean): void {
    const keyword = word.text.toUpperCase();
    const stage = this.parsed.stages.at(-1);
    if (!stage || (keyword !== 'COPY' && keyword !== 'RUN' && keyword !== 'ADD')) return;
    for (const { name, value } of this.flags(words).flags) {
      if (name === 'from' && keyword === 'ADD') {
        this.problem(word, 'ADD has no flag --from', 'write COPY --from=');
      } else if (name === 'from' && keyword === 'COPY' && value.text !== '') {
        stage.sources.push({ instruction: keyword, from: value, onbuild });
      } else if (name === 'mount' && keyword === 'RUN') {
        const from = fields(value).findLast((field) => field.text.toLowerCase().startsWith('from='));
        if (from && from.text.length > 5) {
          stage.sources.push({ instruction: keyword, from: slice(from, 5), onbuild });
        }
      }
    }
  }

  /** The flags before the arguments, without their quotes, and the first argument; a lone `--` ends them. */
  private flags(words: Iterator<Word, undefined>): { flags: { name: string; value: Word }[]; next: Word | undefined } {
    const flags: { name: string; value: Word }[] = [];
    for (;;) {
      const { value: next } = words.next();
      if (!next?.text.startsWith('--')) return { flags, next };
      const word = unquote(next, this.parsed.escapeChar);
      if (word.text === '--') return { flags, next: words.next().value };
      const equals = word.text.indexOf('=');
      const end = equals < 0 ? word.text.length : equals;
      flags.push({ name: word.text.slice(2, end), value: slice(word, end + 1) });
    }
  }

  private unknown(keyword: Word): void {
    const word = keyword.text;
    // Of two as near, the one that begins alike: RNU is RUN, not ENV.
    const far = (keyword: string): number =>
      distance(keyword, word.toUpperCase()) + (keyword[0] === word[0]?.toUpperCase() ? 0 : 0.5);
    const [near] = keywords.filter((keyword) => far(keyword) < 3).sort((x, y) => far(x) - far(y));
    this.problem(
      keyword,
      `'${word}' is no instruction`,
      near ? `did you mean ${near}?` : 'a line that belongs to the one above needs a \\ at the end of that one',
    );
  }

  private problem(keyword: Word, message: string, help?: string): void {
    this.parsed.problems.push({ message, range: rangeOf(keyword), ...(help ? { help } : {}) });
  }
}

function rest(words: Iterator<Word, undefined>): Word[] {
  const found: Word[] = [];
  for (let { value } = words.next(); value; { value } = words.next()) found.push(value);
  return found;
}

/** From a word's first character to its last, with any line break between. */
export function rangeOf({ offsets }: Word): { start: number; end: number } {
  const start = offsets[0] ?? 0;
  return { start, end: (offsets.at(-1) ?? start - 1) + 1 };
}

function slice(word: Word, start: number, end = word.text.length): Word {
  return { text: word.text.slice(start, end), offsets: word.offsets.slice(start, end) };
}

/** Takes the quotes and escapes of a flag away. */
function unquote(word: Word, escapeChar: string): Word {
  const result: Word = { text: '', offsets: [] };
  let quote = '';
  for (let index = 0; index < word.text.length; index++) {
    let char = word.text.charAt(index);
    if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
    else {
      if (char === escapeChar) char = word.text.charAt(++index);
      if (char === '') break;
      result.text += char;
      result.offsets.push(word.offsets[index] ?? 0);
    }
  }
  return result;
}

/** A mount's options: comma-separated, a field with commas in double quotes (RFC 4180). */
function fields(word: Word): Word[] {
  const found: Word[] = [];
  let field: Word = { text: '', offsets: [] };
  let quoted = false;
  for (let index = 0; index < word.text.length; index++) {
    const char = word.text.charAt(index);
    if (char === '"') quoted = !quoted;
    else if (char === ',' && !quoted) {
      found.push(field);
      field = { text: '', offsets: [] };
    } else {
      field.text += char;
      field.offsets.push(word.offsets[index] ?? 0);
    }
  }
  return [...found, field];
}
