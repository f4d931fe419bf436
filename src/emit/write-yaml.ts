// Writes plain data as YAML for people: short things in one line, scripts as blocks, a comment above what has one. The yaml package does the
// same through nodes, which takes seconds for the thousands of jobs of a large family; what is written here is read back by it in the tests.

export type Yaml = string | number | boolean | Yaml[] | Mapping | Anchored | Alias;

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

/** Characters that a list or mapping in one line may take. */
const lineWidth = 110;

/** A section's entries, each under its key in lines of its own; `comments` by key. */
export function writeSection(
  name: string,
  entries: [key: string, value: Yaml][],
  comments?: Map<string, string>,
): string {
  const lines = [`${scalar(name)}:`];
  for (const [key, value] of entries) {
    const comment = comments?.get(key);
    if (comment !== undefined) lines.push(`  # ${comment.replace(/\s+/g, ' ')}`);
    lines.push(`  ${scalar(key)}:${after(value, '  ', false)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** What follows a key: on its line, or in the lines below. */
function after(value: Yaml, indent: string, flow: boolean): string {
  if (value instanceof Anchored) return ` &${value.name}${after(value.value, indent, true)}`;
  const line = flow || !isCollection(value) ? inLine(value) : undefined;
  if (line !== undefined && !(typeof value === 'string' && value.includes('\n'))) return ` ${line}`;
  if (typeof value === 'string') return block(value, indent);
  const below = Array.isArray(value) ? items(value, `${indent}  `) : pairs(value, `${indent}  `);
  return below === '' ? ` ${inLine(value)}` : `\n${below}`;
}

function pairs(value: Yaml, indent: string): string {
  if (!isMapping(value)) return '';
  return Object.entries(value)
    .flatMap(([key, inner]) => {
      if (inner === undefined) return [];
      return [`${indent}${scalar(key)}:${after(inner, indent, isCollection(inner) && isShort(inner))}`];
    })
    .join('\n');
}

function items(list: Yaml[], indent: string): string {
  return list
    .map((item) => {
      if (!isMapping(item) || isShort(item)) return `${indent}-${after(item, indent, true)}`;
      // The first pair stands beside the dash.
      return `${indent}- ${pairs(item, `${indent}  `).trimStart()}`;
    })
    .join('\n');
}

function isCollection(value: Yaml): value is Yaml[] | Mapping {
  return Array.isArray(value) || isMapping(value);
}

function isMapping(value: Yaml): value is Mapping {
  return (
    typeof value === 'object' && !Array.isArray(value) && !(value instanceof Anchored) && !(value instanceof Alias)
  );
}

function isShort(value: Yaml): boolean {
  return width(value) <= lineWidth;
}

/** Characters of a value in one line; infinite for what has lines. */
function width(value: Yaml): number {
  if (typeof value === 'string') return value.includes('\n') ? Number.POSITIVE_INFINITY : value.length + 2;
  if (value instanceof Anchored) return width(value.value) + value.name.length + 2;
  if (value instanceof Alias) return value.name.length + 1;
  if (typeof value !== 'object') return String(value).length;
  const parts = Array.isArray(value)
    ? value.map((item): [string, Yaml | undefined] => ['', item])
    : Object.entries(value);
  let sum = 4;
  for (const [key, inner] of parts) {
    if (inner !== undefined) sum += key.length + 4 + width(inner);
    if (sum > lineWidth) break;
  }
  return sum;
}

function inLine(value: Yaml): string {
  if (value instanceof Anchored) return `&${value.name} ${inLine(value.value)}`;
  if (value instanceof Alias) return `*${value.name}`;
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[${value.map(inLine).join(', ')}]`;
  if (isMapping(value)) {
    const inner = Object.entries(value).flatMap(([key, one]) =>
      one === undefined ? [] : [`${scalar(key)}: ${inLine(one)}`],
    );
    return inner.length === 0 ? '{}' : `{ ${inner.join(', ')} }`;
  }
  return typeof value === 'string' ? scalar(value) : String(value);
}

/** Words that YAML 1.1 or 1.2 take for something else than text. */
const reserved = /^(true|false|yes|no|on|off|y|n|null|~)$/i;

/** Plain where no reader could take it for anything else; else in JSON's quotes, which are YAML's as well. */
export function scalar(text: string): string {
  const plain =
    /^(<< |[A-Za-z_./])[A-Za-z0-9_./@+<>()= -]*$/.test(text) &&
    !reserved.test(text) &&
    !/ $|^\.+[\d ]|^\.(inf|nan)/i.test(text);
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
