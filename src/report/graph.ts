// A graph of names as text: a tree for people, mermaid and dot for documents, JSON for machines.
import { unreachable } from '../failure.ts';

export interface Graph {
  nodes: { name: string; label?: string }[];
  /** `from` comes first: `to` is built on it. */
  edges: { from: string; to: string }[];
}

export type GraphFormat = 'tree' | 'mermaid' | 'dot' | 'json';

/** Ends with a line end unless empty. A name that only an edge mentions counts as a node. */
export function renderGraph(graph: Graph, format: GraphFormat): string {
  const whole = withMentioned(graph);
  switch (format) {
    case 'tree':
      return tree(whole);
    case 'mermaid':
      return mermaid(whole);
    case 'dot':
      return dot(whole);
    case 'json':
      return `${JSON.stringify(whole, undefined, 2)}\n`;
    default:
      return unreachable(format);
  }
}

function withMentioned({ nodes, edges }: Graph): Graph {
  const known = new Set(nodes.map(({ name }) => name));
  const mentioned = new Set(edges.flatMap(({ from, to }) => [from, to]).filter((name) => !known.has(name)));
  return { nodes: [...nodes, ...[...mentioned].map((name) => ({ name }))], edges };
}

function tree({ nodes, edges }: Graph): string {
  const labels = new Map(nodes.map(({ name, label }) => [name, oneLine(label ?? name)]));
  const children = Map.groupBy(edges, ({ from }) => from);
  const below = new Set(edges.map(({ to }) => to));
  const seen = new Set<string>();
  const lines: string[] = [];
  const visit = (name: string, lead: string, indent: string): void => {
    const again = seen.has(name);
    lines.push(`${lead}${labels.get(name) ?? name}${again ? ' (see above)' : ''}`);
    if (again) return;
    seen.add(name);
    const targets = [...new Set((children.get(name) ?? []).map(({ to }) => to))];
    for (const [index, to] of targets.entries()) {
      const last = index === targets.length - 1;
      visit(to, `${indent}${last ? '└─ ' : '├─ '}`, `${indent}${last ? '   ' : '│  '}`);
    }
  };
  for (const { name } of nodes) if (!below.has(name)) visit(name, '', '');
  // What is left hangs below no root: it is part of a cycle.
  for (const { name } of nodes) if (!seen.has(name)) visit(name, '', '');
  return lines.map((line) => `${line}\n`).join('');
}

/** Ids are made up: mermaid's own can't hold spaces or slashes, and `end` is a keyword. */
function mermaid({ nodes, edges }: Graph): string {
  const ids = new Map(nodes.map(({ name }, index) => [name, `n${index}`]));
  const lines = ['graph LR'];
  for (const { name, label } of nodes) lines.push(`  ${ids.get(name)}["${mermaidText(label ?? name)}"]`);
  for (const { from, to } of edges) lines.push(`  ${ids.get(from)} --> ${ids.get(to)}`);
  return `${lines.join('\n')}\n`;
}

/** Mermaid's entity codes: `#quot;`, or `#` and the code point in decimal. */
function mermaidText(text: string): string {
  return oneLine(text).replace(/[#"<>&`\\]/g, (character) => `#${character.charCodeAt(0)};`);
}

function dot({ nodes, edges }: Graph): string {
  const lines = ['digraph {', '  rankdir=LR;'];
  for (const { name, label } of nodes) {
    lines.push(`  ${dotText(name)}${label === undefined ? '' : ` [label=${dotText(label)}]`};`);
  }
  for (const { from, to } of edges) lines.push(`  ${dotText(from)} -> ${dotText(to)};`);
  return `${[...lines, '}'].join('\n')}\n`;
}

function dotText(text: string): string {
  return `"${oneLine(text).replace(/[\\"]/g, '\\$&')}"`;
}

function oneLine(text: string): string {
  return text.replace(/[\r\n]+/g, ' ');
}
