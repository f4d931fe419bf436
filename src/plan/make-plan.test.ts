// The plan of the example family, as a person reads it.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readConfig } from '../config/read.ts';
import { readFamily } from '../family/family.ts';
import { makePlan, type Selection } from './make-plan.ts';

const file = new URL('../../examples/quickstart/splitbuild.yaml', import.meta.url).pathname;

async function plan(selection: Selection, more = '') {
  const text = `${readFileSync(file, 'utf8')}\n${more}`;
  const config = readConfig(text, { file, env: {}, set: {} });
  if (!config.ok) throw new Error(JSON.stringify(config.failure));
  const family = await readFamily(config.value, '/nonexistent', new AbortController().signal);
  if (!family.ok) throw new Error(JSON.stringify(family.failure));
  const made = makePlan(config.value, family.value, selection);
  if (!made.ok) throw new Error(JSON.stringify(made.failure));
  return made.value.tasks.map((task) => `${task.id} ← ${task.needs.join(', ')}`);
}

const arm = { os: 'linux', architecture: 'arm64' };

test('a downstream build waits for its own platform’s upstreams alone', async () => {
  expect(await plan({ images: ['app'], platforms: [arm] })).toEqual([
    'build base linux/arm64 ← ',
    'publish base ← build base linux/arm64',
    'build tools linux/arm64 ← build base linux/arm64',
    'publish tools ← build tools linux/arm64',
    'build data linux/arm64 ← build base linux/arm64',
    'publish data ← build data linux/arm64',
    'build app linux/arm64 ← build tools linux/arm64, build data linux/arm64',
    'publish app ← build app linux/arm64',
  ]);
});

test('with chain: manifest it waits for the joined images of its upstreams as well', async () => {
  const tasks = await plan({ images: ['web'], platforms: [arm] }, 'chain: manifest\n');
  expect(tasks).toContain('build web linux/arm64 ← build tools linux/arm64, publish tools');
});

test('an image has a build a platform and a publish that waits for all of them', async () => {
  const tasks = await plan({ images: [], platforms: [] });
  expect(tasks).toHaveLength(5 * 4);
  expect(tasks).toContain('publish web ← build web linux/amd64, build web linux/386, build web linux/arm64');
});
