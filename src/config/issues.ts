// Says what zod found in words of the file: what a key must be, what is missing, and which key was probably meant.
import { stringify } from 'yaml';
import type { z } from 'zod';
import { nearest, suggest } from './nearest.ts';
import type { ParsedFile, Path } from './parse.ts';
import type { Problems } from './problems.ts';
import { configSchema, jsonSchema } from './schema.ts';
import { asList, asMap, asText, asTexts, valueAt } from './tree.ts';

type Issue = z.core.$ZodIssue;
type Node = Record<string, unknown>;

/** Made when something is wrong: a right config needs none of it. */
let root: Node | undefined;

/** Checks the shape of the expanded file; gives it with its defaults if it is right. */
export function checkShape(
  tree: unknown,
  parsed: ParsedFile,
  problems: Problems,
): z.output<typeof configSchema> | undefined {
  const result = configSchema.safeParse(tree);
  for (const issue of result.error?.issues ?? []) report(issue, toPath(issue.path), tree, parsed, problems);
  return result.data;
}

function report(issue: Issue, path: Path, tree: unknown, parsed: ParsedFile, problems: Problems): void {
  const node = schemaAt(path);
  const value = valueAt(tree, path);
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(propertiesOf(node));
    for (const key of issue.keys) {
      const message = `unknown key '${key}' in ${nameOf(path)}`;
      problems.error('unknown-key', [...path, key], message, { at: 'key', help: suggest(key, known) });
    }
    return;
  }
  if (issue.code === 'invalid_union') {
    // What is wrong inside the alternative that has the right type says more than that no alternative fits.
    const inner = issue.errors.find((issues) =>
      issues.every((one) => one.path.length > 0 || one.code === 'unrecognized_keys'),
    );
    for (const one of inner ?? []) report(one, [...path, ...toPath(one.path)], tree, parsed, problems);
    if (inner) return;
  }
  const last = path.at(-1);
  const parent = asMap(valueAt(tree, path.slice(0, -1)));
  if (typeof last === 'string' && parent && !Object.hasOwn(parent, last)) {
    const owner = nameOf(path.slice(0, -1));
    problems.error('missing-key', path.slice(0, -1), `${owner} has no '${last}'`, {
      at: 'key',
      help: `add ${last}: ${exampleOf(node) ?? '…'}`,
    });
    return;
  }
  if (path.length === 0) {
    const message = value === null ? 'the config is empty' : 'the config must be a map';
    problems.error('wrong-type', path, message, {
      help: 'write version, family, platforms and images (the README shows how)',
    });
    return;
  }
  if (value === null) {
    const message = `${nameOf(path)} is empty; it must be ${expected(node)}`;
    problems.error('wrong-type', path, message, { at: 'key', help: 'give it a value, or leave the key out' });
  } else if (issue.code === 'too_small' && (issue.origin === 'array' || issue.origin === 'string')) {
    problems.error('empty', path, `${nameOf(path)} must not be empty`, { at: 'pair', help: forExample(path, node) });
  } else {
    const help = helpFor(value, node, path, parsed) ?? forExample(path, node);
    problems.error('wrong-type', path, `${nameOf(path)} must be ${expected(node)}`, { at: 'pair', help });
  }
}

function forExample(path: Path, node: Node): string | undefined {
  const example = exampleOf(node) ?? asList(node.enum)?.[0];
  if (example === undefined) return undefined;
  const key = path.at(-1);
  return typeof key === 'string' ? `write for example ${key}: ${example}` : `write for example ${example}`;
}

function helpFor(value: unknown, node: Node, path: Path, parsed: ParsedFile): string | undefined {
  const written = parsed.spot(path)?.written;
  const choices = asTexts(node.enum, []).map(({ text }) => text);
  const text = asText(value);
  if (choices.length > 0) {
    const near = text === undefined ? undefined : nearest(text, choices);
    return near === undefined ? `write ${choices.join(' or ')}` : `did you mean '${near}'?`;
  }
  if (node.const !== undefined) return `write ${path.at(-1)}: ${node.const}`;
  if (node.type === 'string' && written !== undefined) return `put it in quotes: "${written}"`;
  if (node.type === 'array' && text !== undefined && !text.includes('\n'))
    return `write [${text.split(/[\s,]+/).join(', ')}]`;
  if ((node.type === 'integer' || node.type === 'boolean') && text !== undefined && /^(\d+|true|false)$/.test(text))
    return `write it without quotes: ${text}`;
  return undefined;
}

/** `a list, as [linux/amd64, linux/arm64]`. */
function expected(node: Node): string {
  const example = exampleOf(node);
  if (node.const !== undefined) return String(node.const);
  const choices = asList(node.enum);
  if (choices) return choices.join(' or ');
  const kinds =
    asList(node.anyOf)?.map((one) => kindOf(asMap(one)?.type)) ?? (asList(node.type) ?? [node.type]).map(kindOf);
  const all = kinds.length < 3 ? kinds.join(' or ') : `${kinds.slice(0, -1).join(', ')}, or ${kinds.at(-1)}`;
  return `${all}${example === undefined ? '' : `, as ${example}`}`;
}

function kindOf(type: unknown): string {
  switch (type) {
    case 'string':
      return 'text';
    case 'integer':
      return 'a whole number above 0';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
      return 'a map';
    default:
      return 'something else';
  }
}

function exampleOf(node: Node): string | undefined {
  const [example] = asList(node.examples) ?? [];
  if (example === undefined) return undefined;
  return stringify(example, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 })
    .trim()
    .replace(/^\{(.*)\}$/s, '{ $1 }');
}

/** The part of the JSON Schema that speaks of a path. */
function schemaAt(path: Path): Node {
  root ??= jsonSchema();
  let node = root;
  for (const step of path) {
    const inObject =
      asList(node.anyOf)
        ?.map(asMap)
        .find((one) => one?.type === 'object') ?? node;
    node =
      asMap(typeof step === 'number' ? node.items : (propertiesOf(inObject)[step] ?? inObject.additionalProperties)) ??
      {};
  }
  return node;
}

function propertiesOf(node: Node): Node {
  const inObject =
    asList(node.anyOf)
      ?.map(asMap)
      .find((one) => one?.type === 'object') ?? node;
  return asMap(inObject.properties) ?? {};
}

const singular: Record<string, string> = {
  images: 'image',
  groups: 'group',
  workflows: 'workflow',
  assets: 'asset',
  registries: 'registry',
  builders: 'builder',
  exports: 'export',
};

/** What a value is called: `'platforms'`, `item 2 of 'platforms'`, `image 'base'`, `builder 2`. */
function nameOf(path: Path): string {
  const [top, name] = path;
  const last = path.at(-1);
  if (last === undefined) return 'the config';
  const kind = path.length === 2 ? singular[String(top)] : undefined;
  if (kind !== undefined) return typeof name === 'number' ? `${kind} ${name + 1}` : `${kind} '${name}'`;
  return typeof last === 'number' ? `item ${last + 1} of '${path.at(-2)}'` : `'${last}'`;
}

function toPath(path: readonly PropertyKey[]): Path {
  return path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}
