// Writes YAML that people read: comments, blank lines between jobs, scripts as literal blocks, short lists on one line, no anchors.
import { Document, isNode, type Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';

export interface Entry {
  key: string | Scalar<string>;
  /** Anything that YAML can hold; `undefined` leaves the entry out. */
  value: unknown;
  /** Above the entry; one line. */
  comment?: string;
  /** A blank line before it. */
  apart?: boolean;
}

/**
 * Plain words that YAML 1.1 readers (GitLab's is Ruby's Psych) take for something else than text: booleans, numbers with `_`, `,` or `:`,
 * dates, symbols. Quotes that were not needed do no harm.
 */
const notPlain = /^([-+.]*\d[\w.,:+-]*|y|n|yes|no|on|off|true|false|null|~|=|<<|:.*|[-+]?\.(inf|nan))$/i;

/** What is written as an escape: control characters and other kinds of line breaks. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const notPrintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff]/;

/** What readers differ about in a literal block: white space at its beginning and lines of nothing else (Go's yaml.v3 panics at a lone tab). */
const notLiteral = /^\s|\n[ \t]+(\n|$)/;

const longestFlow = 100;

function text(value: string): Scalar<string> {
  const scalar = new Scalar(value);
  if (notPrintable.test(value) || notPlain.test(value)) scalar.type = 'QUOTE_DOUBLE';
  else if (value.includes('\n')) scalar.type = notLiteral.test(value) ? 'QUOTE_DOUBLE' : 'BLOCK_LITERAL';
  return scalar;
}

function isShort(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'string' && !value.includes('\n') && !value.includes('${{'));
}

function list(values: readonly unknown[]): YAMLSeq {
  const sequence = new YAMLSeq();
  sequence.items = values.map(node);
  sequence.flow = values.every(isShort) && values.join(', ').length <= longestFlow;
  return sequence;
}

/** One line without anything that would end a comment. */
function remark(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it removes
  return ` ${line.replace(/[\s\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]+/g, ' ').trim()}`;
}

/** A map in the order of its entries. */
export function mapOf(entries: readonly Entry[]): YAMLMap {
  const map = new YAMLMap();
  for (const { key, value, comment, apart } of entries) {
    if (value === undefined) continue;
    const name = typeof key === 'string' ? text(key) : key;
    if (comment !== undefined) name.commentBefore = remark(comment);
    if (apart) name.spaceBefore = true;
    map.items.push(new Pair(name, node(value)));
  }
  return map;
}

/** Of text, numbers, lists, records, maps and nodes that are made already. */
function node(value: unknown): Node {
  if (isNode(value)) return value;
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return list(value);
  if (value instanceof Map) return mapOf([...value].map(([key, item]) => ({ key: String(key), value: item })));
  if (typeof value === 'object' && value !== null) {
    return mapOf(Object.entries(value).map(([key, item]) => ({ key, value: item })));
  }
  return new Scalar(value);
}

/** The whole file. `header`: lines of the comment on top. */
export function writeYaml(header: readonly string[], entries: readonly Entry[]): string {
  const document = new Document(mapOf(entries));
  if (header.length > 0) {
    document.commentBefore = header
      .flatMap((line) => line.split('\n'))
      .map(remark)
      .join('\n');
  }
  return document.toString({
    lineWidth: 0,
    flowCollectionPadding: false,
    nullStr: '',
    // yaml 2.9 loses a line of nothing but a space when it folds double quotes over lines.
    doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER,
  });
}
