// The checks see what they are there to see: a unit that is half moved, a build that is repeated, a journal that ends in the middle of a line.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Tags, unitStates } from './check.ts';
import { images, tags } from './family.ts';
import { readJournals, repeatedBuilds } from './journals.ts';
import { insertFigures, summarize } from './report.ts';

const old: Tags = new Map(images.flatMap((image) => tags.map((tag) => [`${image}:${tag}`, 'sha256:old'] as const)));
const moved = (...names: string[]): Tags => new Map([...old, ...names.map((name) => [name, 'sha256:new'] as const)]);
const all = (image: string): string[] => tags.map((tag) => `${image}:${tag}`);

test('an image is old, new, or neither while only some of its tags have moved', () => {
  const states = unitStates(old, moved(...all('a'), 'b:develop'), 'image');
  expect(states.find(({ unit }) => unit === 'a')).toMatchObject({ state: 'new' });
  expect(states.find(({ unit }) => unit === 'b')).toEqual({ unit: 'b', state: 'mixed', moved: ['b:develop'] });
  expect(states.find(({ unit }) => unit === 'c')).toMatchObject({ state: 'old' });
});

test('a family is one unit: an image that has moved alone leaves it neither old nor new', () => {
  expect(unitStates(old, moved(...all('a')), 'family')).toEqual([{ unit: 'family', state: 'mixed', moved: all('a') }]);
  expect(unitStates(old, moved(...images.flatMap(all)), 'family')).toMatchObject([{ state: 'new' }]);
});

function journals(...texts: string[]): ReturnType<typeof readJournals> {
  const state = mkdtempSync(join(tmpdir(), 'faults-'));
  mkdirSync(join(state, 'runs'));
  texts.forEach((text, place) => {
    writeFileSync(join(state, 'runs', `run-${place}.jsonl`), text);
  });
  return readJournals(state);
}
const started = '{"type":"task-started","task":"build a linux/amd64","attempt":1}\n';
const finished = '{"type":"task-finished","task":"build a linux/amd64","key":"k1","digest":"sha256:1"}\n';
const reused = '{"type":"task-reused","task":"build a linux/amd64","key":"k1","digest":"sha256:1"}\n';

test('a build that a later run begins again though it was finished is seen; one that is tried twice, or reused, is not', () => {
  expect(repeatedBuilds(journals(started + started + finished, reused))).toEqual([]);
  expect(repeatedBuilds(journals(started + finished.slice(0, 40), started + finished))).toEqual([]);
  expect(repeatedBuilds(journals(started + finished, started))).toMatchObject([
    { task: 'build a linux/amd64', finishedIn: 'run-0.jsonl', startedIn: 'run-1.jsonl' },
  ]);
});

test('figures go between the marks of a document, and again in the place of the old ones', () => {
  const run = { code: 0, signal: null, events: 90, ms: 4000, mixed: [] };
  const fault = { kind: 'engine-kill', detail: 'one', hits: 1 };
  const result = {
    seed: 1,
    number: 1,
    publish: 'image',
    ms: 5000,
    runs: [{ ...run, faults: [fault] }],
    violations: [],
  };
  const figures = summarize([result]);
  expect(figures).toContain('| engine-kill | 1 | 1 | 0 |');
  const document = 'before\n<!-- figures -->\n<!-- /figures -->\nafter\n';
  const once = insertFigures(document, figures);
  expect(once).toBe(`before\n<!-- figures -->\n${figures}\n<!-- /figures -->\nafter\n`);
  expect(insertFigures(once, 'x')).toBe('before\n<!-- figures -->\nx\n<!-- /figures -->\nafter\n');
});
