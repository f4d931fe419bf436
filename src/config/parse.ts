// Reads YAML into plain data, and remembers where in the file each value and key stands. It makes the data itself rather
// than with yaml's toJS, so that aliases and merge keys keep their places and can't grow without end.
import { isAlias, isMap, isScalar, isSeq, type Node, parseDocument, type YAMLMap } from 'yaml';
import { type Diagnostic, fail, type Location, ok, type Result } from '../failure.ts';

/** Keys and list positions from the top of the file. */
export type Path = readonly (string | number)[];

/** UTF-16 offsets in the text; `end` is exclusive. */
export interface Span {
  start: number;
  end: number;
}

export interface Spot {
  /** None for the top and for items of a list. */
  key?: Span;
  value: Span;
  scalar: boolean;
  /** A scalar as it stands in the file, without quotes: `3.10` where the value is 3.1. */
  written?: string;
}

export interface ParsedFile {
  text: string;
  /** Maps, lists and scalars, with aliases and merge keys resolved. */
  value: unknown;
  spot(path: Path): Spot | undefined;
  locate(span: Span): Location;
  warnings: Diagnostic[];
}

const maxDepth = 32;
/** Of a short file. What stands there without aliases is never more than it has characters: a long one may hold as much. */
const maxValues = 50_000;

/** Parses the file; a failure holds what is wrong with it as YAML, and then nothing can be said of its content. */
export function parseConfig(source: string, file: string): Result<ParsedFile> {
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source;
  const starts = lineStartsOf(text);
  const locate = (span: Span): Location => locationOf(text, starts, file, span);
  const problem = (severity: Diagnostic['severity'], message: string, span: Span, help?: string): Diagnostic => {
    const location = locate(span);
    return { code: 'yaml', severity, message, location, ...(help ? { help } : {}) };
  };
  const errors: Diagnostic[] = [];
  try {
    const document = parseDocument(text, {
      merge: true,
      prettyErrors: false,
      logLevel: 'error',
      // It compares each key of a map with every other: seconds for ten thousand images. See walk.
      uniqueKeys: false,
    });
    const { repeatedKeys, targets } = walk(document.contents);
    const slips = [
      ...document.errors.map(({ code, message, pos }) => ({ code, message, start: pos[0], end: pos[1] })),
      ...repeatedKeys.map((start) => ({
        ...{ code: 'DUPLICATE_KEY', message: '' },
        start,
        end: start + 1,
      })),
    ];
    for (const { code, message, ...span } of slips.sort((a, b) => a.start - b.start)) {
      // One slip of the pen makes several errors in its line: the first is the cause.
      if (errors.some(({ location }) => location?.line === locate(span).line)) continue;
      errors.push(problem('error', plainWords(code, message), span, helpFor(code, locate(span).text ?? '')));
    }
    const warnings = document.warnings.map(({ message, pos }) =>
      problem('warning', message, { start: pos[0], end: pos[1] }, 'tags are not used here: leave it out'),
    );
    if (errors.length > 0) return fail({ kind: 'diagnostics', diagnostics: errors });
    const complain: Complain = (message, span, help) => errors.push(problem('error', message, span, help));
    const most = Math.max(maxValues, text.length);
    const value = toData(document.contents, targets, complain, most);
    if (errors.length > 0) return fail({ kind: 'diagnostics', diagnostics: errors.sort(byPlace) });
    const places = (): Map<string, Spot> => {
      const found = new Map<string, Spot>();
      toData(document.contents, targets, complain, most, found);
      return found;
    };
    // Of a file that is right, hardly any place is asked for.
    let spots: Map<string, Spot> | undefined;
    const spot: ParsedFile['spot'] = (path) => {
      spots ??= places();
      return spots.get(path.join('\0'));
    };
    return ok({ text, value, spot, locate, warnings });
  } catch (error) {
    // The parser recurses: a file of nothing but brackets ends its stack.
    if (!(error instanceof RangeError)) throw error;
    return fail({
      kind: 'diagnostics',
      diagnostics: [problem('error', 'the file is nested too deeply', { start: 0, end: 1 })],
    });
  }
}

interface Walked {
  /** Offsets of keys that their map has already. */
  repeatedKeys: number[];
  /** What each alias means: the last node before it with its anchor. */
  targets: Map<Node, Node>;
}

function walk(root: Node | null): Walked {
  const repeatedKeys: number[] = [];
  const anchors = new Map<string, Node>();
  const targets = new Map<Node, Node>();
  const lookForRepeated = ({ items }: YAMLMap): void => {
    const seen = new Set<unknown>();
    for (const { key } of items) {
      if (!isScalar(key)) continue;
      if (seen.has(key.value) && key.range) repeatedKeys.push(key.range[0]);
      seen.add(key.value);
    }
  };
  // In the order of the file. (yaml's own visitor keeps the way to each node, which takes several times as long.)
  const look = (written: unknown): void => {
    const node = asNode(written);
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target) targets.set(node, target);
      return;
    }
    if (node?.anchor) anchors.set(node.anchor, node);
    if (isSeq(node)) for (const item of node.items) look(item);
    if (!isMap(node)) return;
    lookForRepeated(node);
    for (const { key, value } of node.items) {
      look(key);
      look(value);
    }
  };
  look(root);
  return { repeatedKeys, targets };
}

type Complain = (message: string, span: Span, help?: string) => void;

/** The data; `spots` gets the place of every value, by its path. */
function toData(
  root: Node | null,
  targets: Map<Node, Node>,
  complain: Complain,
  most: number,
  spots?: Map<string, Spot>,
): unknown {
  const open = new Set<Node>();
  let count = 0;
  const target = (node: Node | null): Node | null => {
    if (!node || !isAlias(node)) return node;
    const found = targets.get(node);
    if (!found) complain(`nothing is named by the anchor '&${node.source}' before this`, spanOfNode(node));
    return found ?? null;
  };
  /** The entries of a map; those of merged maps come after its own, which win. */
  const entries = (map: YAMLMap, depth: number): { name: string; key: Node; value: Node | null }[] => {
    const merged: Node[] = [];
    count += map.items.length;
    const own = map.items.flatMap((pair): { name: string; key: Node; value: Node | null }[] => {
      const key = asNode(pair.key);
      if (!key || !isScalar(key)) {
        if (key) complain('a key must be text', spanOfNode(key));
        return [];
      }
      const value = asNode(pair.value);
      const isMerge = typeof key.value === 'symbol' || (key.value === '<<' && key.type === 'PLAIN');
      if (!isMerge) return [{ name: String(key.value), key, value }];
      const from = target(value);
      for (const item of isSeq(from) ? from.items.map((one) => target(asNode(one))) : [from])
        if (item) merged.push(item);
      return [];
    });
    const names = new Set(own.map(({ name }) => name));
    for (const from of merged) {
      if (count > most) return own;
      if (!isMap(from) || depth > maxDepth || open.has(from)) {
        complain("'<<' merges maps, and no map into itself", spanOfNode(from));
        continue;
      }
      for (const entry of entries(from, depth + 1)) {
        if (!names.has(entry.name)) own.push(entry);
        names.add(entry.name);
      }
    }
    return own;
  };
  const convert = (written: Node | null, path: (string | number)[], key?: Node): unknown => {
    const node = target(written);
    count += 1;
    if (count > most || (written && !node)) return null;
    spots?.set(path.join('\0'), spotOf(written, node, key));
    if (!node) return null;
    if (isScalar(node)) return node.value;
    const value = written ? spanOfNode(written) : first;
    if (open.has(node)) complain('this alias lies inside what it stands for, so it has no end', value);
    else if (path.length > maxDepth) complain('nested too deeply', value);
    if (open.has(node) || path.length > maxDepth) return null;
    open.add(node);
    let data: unknown = null;
    if (isSeq(node)) data = node.items.map((item, index) => convert(asNode(item), [...path, index]));
    else if (isMap(node)) {
      data = Object.fromEntries(
        entries(node, 0).map((entry) => [entry.name, convert(entry.value, [...path, entry.name], entry.key)]),
      );
    }
    open.delete(node);
    return data;
  };
  const data = convert(root, []);
  if (count > most) complain('the file holds too much (aliases count as often as they are used)', first);
  return data;
}

const first: Span = { start: 0, end: 1 };

/** `node` is what is `written`, or what that is an alias of. */
function spotOf(written: Node | null, node: Node | null, key: Node | undefined): Spot {
  const afterKey = key?.range?.[1] ?? 0;
  return {
    value: written ? spanOfNode(written) : { start: afterKey, end: afterKey },
    scalar: !node || isScalar(node),
    ...(key ? { key: spanOfNode(key) } : {}),
    ...(isScalar(node) && node.source !== undefined ? { written: node.source } : {}),
  };
}

function asNode(value: unknown): Node | null {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value) ? value : null;
}

function spanOfNode(node: Node): Span {
  return node.range ? { start: node.range[0], end: node.range[1] } : first;
}

/** Offsets. yaml's own counter leaves lines out where a flow collection is broken. */
function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function locationOf(text: string, starts: readonly number[], file: string, span: Span): Location {
  // What misses at the end of the file is shown after its last character, not in the empty line that follows.
  const offset = Math.min(span.start, text.trimEnd().length);
  const line = Math.max(1, lineAt(starts, offset));
  const start = starts[line - 1] ?? 0;
  const end = (starts[line] ?? text.length + 1) - 1;
  const row = text.slice(start, text[end - 1] === '\r' ? end - 1 : end);
  const col = offset - start + 1;
  const column = Math.max(1, col);
  const endColumn = Math.max(column + 1, Math.min(column + span.end - span.start, row.length + 1));
  return { file, line, column, endColumn, text: row };
}

/** How many lines begin at or before an offset. */
function lineAt(starts: readonly number[], offset: number): number {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** In a flow map or list, the brace of a `${` that is not in quotes opens another map. */
function isBareInFlow(before: string): boolean {
  return /[{[]/.test(before) && /[:,[{] *[^\s"',:[{]*$/.test(before.slice(-200));
}

/** What yaml says in the words of its own machinery, in words of the file. */
function plainWords(code: string, message: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'this key is written twice in one map';
    case 'MULTIPLE_DOCS':
      return "the file holds a second document after '---'";
    case 'BLOCK_AS_IMPLICIT_KEY':
      return "a second ': ' in one line";
    default:
      return message.charAt(0).toLowerCase() + message.slice(1);
  }
}

function helpFor(code: string, line: string): string | undefined {
  if (code === 'TAB_AS_INDENT') return 'indent with spaces';
  if (code === 'DUPLICATE_KEY') return 'keep one of the two';
  if (code === 'MULTIPLE_DOCS') return 'one file is one family: write the second one in a file of its own';
  if (line.length < 10_000 && [...line.matchAll(/\$\{/g)].some(({ index }) => isBareInFlow(line.slice(0, index))))
    return 'inside { } and [ ], put a value with a variable in quotes: "${name}"';
  if (code === 'BLOCK_AS_IMPLICIT_KEY') return "put a value with ': ' in quotes, or begin a new line";
  return undefined;
}

/** The order of the file. */
export function byPlace(a: Diagnostic, b: Diagnostic): number {
  const [one, two] = [a.location, b.location];
  return (one?.line ?? 0) - (two?.line ?? 0) || (one?.column ?? 0) - (two?.column ?? 0);
}
