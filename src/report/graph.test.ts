// Graphs as text, compared with renderings written by hand.
import { expect, test } from 'vitest';
import { renderGraph } from './graph.ts';

const diamond = {
  nodes: ['base', 'dev', 'ops', 'app'].map((name) => ({ name })),
  edges: [
    { from: 'base', to: 'dev' },
    { from: 'base', to: 'ops' },
    { from: 'dev', to: 'app' },
    { from: 'ops', to: 'app' },
  ],
};
const odd = { nodes: [{ name: 'a"b\\' }], edges: [] };

test('a tree marks a node that it has shown already', () => {
  expect(renderGraph(diamond, 'tree')).toBe(
    ['base', '├─ dev', '│  └─ app', '└─ ops', '   └─ app (see above)', ''].join('\n'),
  );
});

test('a tree of a cycle shows every node and ends', () => {
  const edges = [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'a' },
  ];
  expect(renderGraph({ nodes: [], edges }, 'tree')).toBe('a\n└─ b\n   └─ a (see above)\n');
});

test('names are escaped in mermaid and dot', () => {
  expect(renderGraph(odd, 'mermaid')).toBe('graph LR\n  n0["a#34;b#92;"]\n');
  expect(renderGraph(odd, 'dot')).toBe('digraph {\n  rankdir=LR;\n  "a\\"b\\\\";\n}\n');
});
