// Whatever a pipeline says, reading it gives jobs or problems at their places, soon; it never throws.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cpuMs } from '../testing.ts';
import { expandPipeline } from './expand.ts';
import { parsePipeline } from './parse.ts';

const whole = `version: 2.1
parameters: { p: { type: boolean, default: false } }
executors:
  e: { parameters: { size: { type: string, default: medium } }, docker: [ image: x ], resource_class: << parameters.size >> }
commands:
  c: { parameters: { to: { type: enum, enum: [a, b], default: a } }, steps: [ run: echo << parameters.to >>, checkout ] }
jobs:
  build:
    parameters: { n: { type: integer, default: 1 } }
    executor: { name: e, size: large }
    environment: { A: 1 }
    steps:
      - c: { to: b }
      - when: { condition: { equal: [ 1, << parameters.n >> ] }, steps: [ setup_remote_docker, persist_to_workspace: { root: ., paths: [a] } ] }
      - run: { command: "cat \\\\<<EOF", when: always }
workflows:
  w:
    when: { or: [ << pipeline.parameters.p >>, not: false ] }
    triggers: [ schedule: { cron: "0 0 * * *" } ]
    jobs: [ build, build: { name: z, n: 2, requires: [ build: failed ], filters: { tags: { only: /v.*/ } }, context: [x] } ]
`;
const words = [...whole.matchAll(/[\w.$-]+|<<|>>|\S/g)].map(([word]) => word);
const strange = [
  '__proto__',
  'constructor',
  'toString',
  '*',
  '&a',
  '*a',
  '<<: *a',
  '[',
  '{}',
  'null',
  '1',
  '""',
  '/(/',
  '\\<<',
  '~',
  '- ',
];

/** Whether it is right. */
function read(text: string): boolean {
  const trigger = { ref: { kind: 'branch', name: 'main' }, revision: 'r', number: 1, id: 'i', gitUrl: 'u' } as const;
  const parsed = parsePipeline(text, 'config.yml');
  const result = parsed.ok ? expandPipeline(parsed.value, trigger) : parsed;
  if (result.ok) return true;
  expect(result.failure.kind).toBe('diagnostics');
  if (result.failure.kind !== 'diagnostics') return false;
  expect(result.failure.diagnostics.length).toBeGreaterThan(0);
  for (const { location, message } of result.failure.diagnostics) {
    expect(location?.line, message).toBeGreaterThan(0);
    expect(message).not.toMatch(/undefined|\[object|function/);
  }
  return false;
}

test('the file that is changed is right', () => {
  expect(read(whole)).toBe(true);
});

test('a word replaced by another', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...words, ...strange)), { minLength: 1, maxLength: 4 }),
      (changes) => {
        let text = whole;
        for (const [seed, word] of changes) {
          const places = [...text.matchAll(/[\w.$-]+|<<|>>|\S/g)];
          const place = places[seed % places.length];
          if (place) text = text.slice(0, place.index) + word + text.slice(place.index + place[0].length);
        }
        read(text);
      },
    ),
    { numRuns: 400 },
  );
});

test('commands that call each other more often than anybody would', () => {
  const commands = Array.from({ length: 30 }, (_, at) => `  c${at}: { steps: [ c${at + 1}, c${at + 1} ] }\n`).join('');
  const rest = `  c30: { steps: [checkout] }\njobs: { build: { docker: [ image: x ], steps: [c0] } }\n`;
  const parsed = parsePipeline(`version: 2.1\ncommands:\n${commands}${rest}`, 'config.yml');
  if (!parsed.ok) throw new Error('not parsed');
  const started = cpuMs();
  const trigger = { ref: { kind: 'branch', name: 'main' }, revision: 'r', number: 1, id: 'i', gitUrl: 'u' } as const;
  const expanded = expandPipeline(parsed.value, trigger);
  expect(expanded.ok ? [] : expanded.failure).toMatchObject({ diagnostics: [{ code: 'too-many-steps' }] });
  expect(cpuMs() - started).toBeLessThan(2000);
});
