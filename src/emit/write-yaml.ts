// Writes plain data as YAML for people: short things in one line, scripts as blocks, a comment above what has one. The yaml package does the
// same through nodes, which takes seconds for the thousands of jobs of a large family; what is written here is read back by it in the tests.

export type Yaml = string | number | boolean | Yaml[] | Mapping | Anchored | Alias | Common;

/** Keys in their order; undefined ones are left out. */
export interface Mapping {
  [key: string]: Yaml | undefined;
}

/** A value that is named where it stands first. */
export class Anchored {
  readonly name: string;
  readonly value: Yaml;
  constructor(name: string, value: Yaml) {
    this.name = name;
    this.value = value;
  }
}

/** The same value again. */
export class Alias {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** A value of thousands of jobs: it is written as itself, and put together once. */
export class Common {
  readonly value: Yaml;
  /** By what stands before it in its line. */
  readonly written = new Map<string, string>();
  width: number | undefined;
  constructor(value: Yaml) {
    this.value = value;
  }
}

/** Characters that a list or mapping in one line may take. */
const lineWidth = 110;

/**
 * A section's entries, each under its key in lines of its own; `comments` by key. Each is asked for when the one before is written, and put
 * together by itself: of a large family, all jobs at once would be a million small things to keep.
 */
export function writeSection(
  name: string,
  entries: Iterable<[key: string, value: Yaml]>,
  comments?: Map<string, string>,
): string {
  const written = [`${scalar(name)}:`];
  for (const [key, value] of entries) {
    const lines: string[] = [];
    const comment = comments?.get(key);
    if (comment !== undefined) lines.push(`  # ${comment.replace(/\s+/g, ' ')}`);
    pair(`  ${scalar(key)}:`, value, '  ', false, lines);
    written.push(lines.join('\n'));
  }
  return `${written.join('\n')}\n`;
}

/** A value after what stands before it in its line, `head`: in that line, or in the lines below. */
function pair(head: string, value: Yaml, indent: string, flow: boolean, lines: string[]): void {
  if (value instanceof Anchored) {
    pair(`${head} &${value.name}`, value.value, indent, true, lines);
    return;
  }
  if (value instanceof Common) {
    const inner = value.value;
    lines.push(writtenOnce(value, head, (own) => pair(head, inner, indent, flow || isShortCollection(inner), own)));
    return;
  }
  if (typeof value === 'string' && value.includes('\n')) {
    lines.push(`${head}${block(value, indent)}`);
    return;
  }
  const count = lines.length;
  if (!flow && isCollection(value)) {
    lines.push(head);
    if (Array.isArray(value)) items(value, `${indent}  `, lines);
    else pairs(value, `${indent}  `, lines);
    if (lines.length > count + 1) return;
    lines.pop();
  }
  lines.push(`${head} ${inLine(value)}`);
}

/** As one text, in which the lines may be several. */
function writtenOnce({ written }: Common, head: string, write: (lines: string[]) => void): string {
  const known = written.get(head);
  if (known !== undefined) return known;
  const lines: string[] = [];
  write(lines);
  const text = lines.join('\n');
  written.set(head, text);
  return text;
}

function pairs(value: Mapping, indent: string, lines: string[], first = indent): void {
  let head = first;
  for (const key of Object.keys(value)) {
    const inner = value[key];
    if (inner === undefined) continue;
    pair(`${head}${scalar(key)}:`, inner, indent, isShortCollection(inner), lines);
    head = indent;
  }
}

function items(list: Yaml[], indent: string, lines: string[]): void {
  for (const item of list) {
    if (item instanceof Common) {
      const { value } = item;
      lines.push(writtenOnce(item, `${indent}-`, (own) => items([value], indent, own)));
    } else if (!isMapping(item) || isShort(item)) pair(`${indent}-`, item, indent, true, lines);
    // The first pair stands beside the dash.
    else pairs(item, `${indent}  `, lines, `${indent}- `);
  }
}

function isCollection(value: Yaml): value is Yaml[] | Mapping {
  return Array.isArray(value) || isMapping(value);
}

function isMapping(value: Yaml): value is Mapping {
  return (
    typeof value === 'object' &&
    !Array.isArray(value) &&
    !(value instanceof Anchored || value instanceof Alias || value instanceof Common)
  );
}

function isShortCollection(value: Yaml): boolean {
  return isCollection(value) && isShort(value);
}

function isShort(value: Yaml): boolean {
  return width(value) <= lineWidth;
}

/** Characters of a value in one line; infinite for what has lines. */
function width(value: Yaml): number {
  if (typeof value === 'string') return value.includes('\n') ? Number.POSITIVE_INFINITY : value.length + 2;
  if (value instanceof Anchored) return width(value.value) + value.name.length + 2;
  if (value instanceof Alias) return value.name.length + 1;
  if (value instanceof Common) {
    value.width ??= width(value.value);
    return value.width;
  }
  if (typeof value !== 'object') return String(value).length;
  let sum = 4;
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length && sum <= lineWidth; at++) sum += 4 + width(value[at] ?? '');
    return sum;
  }
  for (const key of Object.keys(value)) {
    const inner = value[key];
    if (inner !== undefined) sum += key.length + 4 + width(inner);
    if (sum > lineWidth) break;
  }
  return sum;
}

function inLine(value: Yaml): string {
  if (value instanceof Anchored) return `&${value.name} ${inLine(value.value)}`;
  if (value instanceof Alias) return `*${value.name}`;
  if (value instanceof Common) return inLine(value.value);
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${value.map(inLine).join(', ')}]`;
  if (isMapping(value)) {
    let inner = '';
    for (const key of Object.keys(value)) {
      const one = value[key];
      if (one !== undefined) inner += `${inner === '' ? '' : ', '}${scalar(key)}: ${inLine(one)}`;
    }
    return inner === '' ? '{}' : `{ ${inner} }`;
  }
  return typeof value === 'string' ? scalar(value) : String(value);
}

/** Words that YAML 1.1 or 1.2 take for something else than text; of at most five letters. */
const reserved = /^(true|false|yes|no|on|off|y|n|null|~)$/i;

/** Plain where no reader could take it for anything else; else in JSON's quotes, which are YAML's as well. */
export function scalar(text: string): string {
  const plain =
    /^(<< |[A-Za-z_./])[A-Za-z0-9_./@+<>()= -]*$/.test(text) &&
    !(text.length <= 5 && reserved.test(text)) &&
    !text.endsWith(' ') &&
    !(text.startsWith('.') && /^\.+[\d ]|^\.(inf|nan)/i.test(text));
  return plain ? text : JSON.stringify(text);
}

/** A literal block; text that a block can't hold is quoted. */
function block(text: string, indent: string): string {
  const body = text.replace(/\n$/, '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/^[ \n]|[ \t]$|[ \t]\n|\n\n*$|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff]/.test(body))
    return ` ${JSON.stringify(text)}`;
  const lines = body.split('\n').map((line) => (line === '' ? '' : `${indent}  ${line}`));
  return ` |${text.endsWith('\n') ? '' : '-'}\n${lines.join('\n')}`;
}
