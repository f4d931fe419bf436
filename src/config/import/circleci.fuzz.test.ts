// The import on pipelines that are broken in any way: it answers, and what it writes is YAML.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { draftFromCircleci } from './circleci.ts';
import { writeDraft } from './write.ts';

const sources = ['split', 'single', 'matrix'].map((name) =>
  readFileSync(new URL(`testdata/${name}.yml`, import.meta.url), 'utf8').split('\n'),
);
const scraps = [
  '',
  '  - a',
  '$(',
  '"',
  "'",
  '<< parameters.x >>',
  '${x:-',
  'docker push',
  'docker tag a',
  'docker build -t',
  'fi',
  'if x',
  '|| exit',
  '\uE000',
  'git clone',
  ': : {',
];

test('lines left out, repeated, moved or spoilt', () => {
  const change = fc.record({
    at: fc.nat(400),
    to: fc.nat(400),
    kind: fc.constantFrom('drop', 'repeat', 'move', 'spoil'),
    scrap: fc.constantFrom(...scraps),
  });
  fc.assert(
    fc.property(fc.constantFrom(...sources), fc.array(change, { minLength: 1, maxLength: 6 }), (source, changes) => {
      const lines = [...source];
      for (const { at, to, kind, scrap } of changes) {
        const index = at % lines.length;
        const line = lines[index] ?? '';
        if (kind === 'drop') lines.splice(index, 1);
        else if (kind === 'repeat') lines.splice(index, 0, line);
        else if (kind === 'move') lines.splice(to % lines.length, 0, ...lines.splice(index, 1));
        else lines[index] = `${line.slice(0, to % (line.length + 1))}${scrap}${line.slice(to % (line.length + 1))}`;
      }
      const draft = draftFromCircleci(lines.join('\n'), { file: 'c.yml' });
      if (draft.ok) expect(parse(writeDraft(draft.value))).toMatchObject({ version: 1 });
      else
        expect(draft.failure).toMatchObject({
          kind: 'diagnostics',
          diagnostics: expect.arrayContaining([expect.anything()]),
        });
    }),
    { numRuns: 300 },
  );
});
