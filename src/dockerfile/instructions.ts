// A Dockerfile's stages as far as images are concerned: what a stage is built FROM, and what it copies or mounts from.
// dockerfile-ast splits the text into instructions and words; where each character stood is kept, for pins.
import { DockerfileParser, type Instruction, type ModifiableInstruction, type Onbuild } from 'dockerfile-ast';
import { distance } from 'fastest-levenshtein';
import { type DockerfileLines, type Problem, readLines } from './lines.ts';

/** A word with line continuations taken out, and where each of its characters stands in the file. */
export interface Word {
  text: string;
  offsets: number[];
}

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
  const reader = new Reader(text, lines, parsed);
  for (const instruction of DockerfileParser.parse(lines.plain).getInstructions()) reader.read(instruction);
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
  private readonly text: string;
  private readonly lines: DockerfileLines;
  private readonly parsed: ParsedDockerfile;
  private readonly lineStarts = [0];

  constructor(text: string, lines: DockerfileLines, parsed: ParsedDockerfile) {
    this.text = text;
    this.lines = lines;
    this.parsed = parsed;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.lineStarts.push(at + 1);
  }

  read(instruction: Instruction): void {
    const keyword = instruction.getKeyword();
    if (!keywords.includes(keyword)) this.unknown(instruction);
    else if (keyword === 'FROM') this.from(instruction as ModifiableInstruction);
    else if (this.parsed.stages.length > 0) {
      if (keyword === 'ONBUILD') this.onbuild(instruction as Onbuild);
      else this.sources(instruction, false);
    } else if (keyword === 'ARG') this.arg(instruction);
    else this.problem(instruction, `${keyword} stands before the first FROM`, 'only ARG may stand there');
  }

  private onbuild(instruction: Onbuild): void {
    const trigger = instruction.getTriggerInstruction();
    const keyword = trigger?.getKeyword() ?? '';
    if (!trigger) this.problem(instruction, 'ONBUILD is given no instruction');
    else if (keyword === 'FROM' || keyword === 'ONBUILD' || keyword === 'MAINTAINER') {
      this.problem(trigger, `${keyword} can't be an ONBUILD trigger`);
    } else if (!keywords.includes(keyword)) this.unknown(trigger);
    else this.sources(trigger, true);
  }

  private arg(instruction: Instruction): void {
    const words = this.words(instruction);
    if (words.length === 0) this.problem(instruction, 'ARG is given no name');
    for (const word of words) {
      const { text } = word;
      const range = rangeOf(word);
      const equals = text.indexOf('=');
      if (equals === 0) this.problem(instruction, 'ARG is given no name', 'write ARG NAME=value, without blanks');
      else if (equals < 0) this.parsed.args.push({ name: text, range });
      else this.parsed.args.push({ name: text.slice(0, equals), value: text.slice(equals + 1), range });
    }
  }

  private from(instruction: ModifiableInstruction): void {
    const words = this.words(instruction);
    const [image, as, name] = words;
    // After a FROM that can't be read the instructions still belong to some stage.
    const stage: Stage = { image: image ?? { text: '', offsets: [] }, sources: [] };
    this.parsed.stages.push(stage);
    if (!image) this.problem(instruction, 'FROM is given no image', 'write FROM <image> [AS <name>]');
    else if (words.length !== 1 && (words.length !== 3 || as?.text.toLowerCase() !== 'as')) {
      this.problem(instruction, 'FROM takes an image, or an image, AS and a name', 'FROM <image> [AS <name>]');
    } else if (name) {
      stage.name = name.text.toLowerCase();
      if (!/^[a-z][a-z0-9\-_.]*$/.test(stage.name)) {
        this.problem(
          instruction,
          `'${name.text}' can't be the name of a stage`,
          "it begins with a letter; letters, digits, '-', '_' and '.' may follow",
        );
      }
    }
    for (const flag of this.flags(instruction)) {
      if (flag.name === 'platform') stage.platform = flag.value;
      else this.problem(instruction, `FROM has no flag --${flag.name}`, 'its only flag is --platform=');
    }
  }

  private sources(instruction: Instruction, onbuild: boolean): void {
    const keyword = instruction.getKeyword();
    const stage = this.parsed.stages.at(-1);
    if (!stage || (keyword !== 'COPY' && keyword !== 'RUN' && keyword !== 'ADD')) return;
    for (const { name, value } of this.flags(instruction as ModifiableInstruction)) {
      if (name === 'from' && keyword === 'ADD') {
        this.problem(instruction, 'ADD has no flag --from', 'write COPY --from=');
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

  /** The flags before the arguments, without their quotes; they end at a lone `--`. */
  private flags(instruction: ModifiableInstruction): { name: string; value: Word }[] {
    const found: { name: string; value: Word }[] = [];
    for (const flag of instruction.getFlags()) {
      const word = unquote(this.word(flag.getRange()), this.lines.escapeChar);
      if (word.text === '--') break;
      const equals = word.text.indexOf('=');
      const end = equals < 0 ? word.text.length : equals;
      found.push({ name: word.text.slice(2, end), value: slice(word, end + 1) });
    }
    return found;
  }

  private words(instruction: Instruction): Word[] {
    return instruction.getArguments().map((argument) => this.word(argument.getRange()));
  }

  private word(range: ReturnType<Instruction['getRange']>): Word {
    const word: Word = { text: '', offsets: [] };
    const { start, end } = this.offsets(range);
    for (let offset = start; offset < end; offset++) {
      if (this.lines.isDropped(offset)) continue;
      word.text += this.text.charAt(offset);
      word.offsets.push(offset);
    }
    return word;
  }

  private offsets({ start, end }: ReturnType<Instruction['getRange']>): { start: number; end: number } {
    return {
      start: (this.lineStarts[start.line] ?? 0) + start.character,
      end: (this.lineStarts[end.line] ?? 0) + end.character,
    };
  }

  private unknown(instruction: Instruction): void {
    const word = this.word(instruction.getInstructionRange()).text;
    // Of two as near, the one that begins alike: RNU is RUN, not ENV.
    const far = (keyword: string): number =>
      distance(keyword, word.toUpperCase()) + (keyword[0] === word[0]?.toUpperCase() ? 0 : 0.5);
    const [near] = keywords.filter((keyword) => far(keyword) < 3).sort((x, y) => far(x) - far(y));
    this.problem(
      instruction,
      `'${word}' is no instruction`,
      near ? `did you mean ${near}?` : 'a line that belongs to the one above needs a \\ at the end of that one',
    );
  }

  private problem(instruction: Instruction, message: string, help?: string): void {
    const range = this.offsets(instruction.getInstructionRange());
    this.parsed.problems.push({ message, range, ...(help ? { help } : {}) });
  }
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
