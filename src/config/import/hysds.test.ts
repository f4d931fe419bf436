// HySDS's own pipelines against the facts that were taken from them by hand: family, edges, tags and workflows must agree. It runs where
// both are at hand: HYSDS_FACTS names the folder of hysds-pipeline*.json, HYSDS_GIT a git directory of hysds/hysds-framework.
import { readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../read.ts';
import { draftFromCircleci } from './circleci.ts';
import type { Draft } from './draft.ts';
import { writeDraft } from './write.ts';

const { HYSDS_FACTS: facts, HYSDS_GIT: git } = process.env;
const list = z.array(z.string()).default([]);
const factsSchema = z.object({
  jobs: z.record(
    z.string(),
    z.looseObject({
      pushes: list,
      copies: list,
      buildx: list,
      manifests: list,
      pulls: list,
      buildArgs: list,
      script: list,
      clones: list,
    }),
  ),
  workflows: z.record(
    z.string(),
    z.object({
      jobs: z.array(z.object({ name: z.string(), requires: list, params: z.record(z.string(), z.string()) })),
    }),
  ),
});
type Facts = z.output<typeof factsSchema>;

const pipelines = [
  { name: 'split', commit: 'd5ea532', json: 'hysds-pipeline.json', lines: 3134 },
  { name: 'single-job', commit: '14c286f', json: 'hysds-pipeline-before.json', lines: 1240 },
];

/** Images that a job makes, by the facts; where those leave the repository to a command, by the job's name. */
function imagesOfJob(name: string, { jobs }: Facts): string[] {
  const job = jobs[name];
  if (!job || /^(deploy|export|test)/.test(name)) return [];
  const references = [...job.pushes, ...job.copies, ...job.manifests].map(
    (text) => text.split(/[: ]/)[0]?.replace('hysds/', '') ?? '',
  );
  if (references.some((one) => one.startsWith('{'))) return name.includes('verdi') ? ['pge-base', 'verdi'] : [];
  if (references.length === 0) return [name.replace('build-', '')];
  return [...new Set(references)].sort();
}

/** `cuda-base` needs `base`, by what the jobs require; the joining jobs stand for what they join. */
function edgesOf(given: Facts): Set<string> {
  const edges = new Set<string>();
  for (const { jobs } of Object.values(given.workflows)) {
    for (const { name, requires } of jobs) {
      for (const image of imagesOfJob(name, given))
        for (const other of requires.flatMap((one) => imagesOfJob(one, given))) {
          if (!imagesOfJob(name, given).includes(other)) edges.add(`${image} needs ${other}`);
        }
    }
  }
  for (const [name, { pulls }] of Object.entries(given.jobs)) {
    for (const image of imagesOfJob(name, given)) {
      for (const pull of pulls) {
        const [, other] = /(?:^| )hysds\/([\w-]+):/.exec(pull) ?? [];
        if (other !== undefined && !imagesOfJob(name, given).includes(other)) edges.add(`${image} needs ${other}`);
      }
    }
  }
  return edges;
}

describe.each(pipelines)('the $name pipeline', ({ commit, json, lines }) => {
  const load = async (): Promise<{ given: Facts; draft: Draft; text: string; source: string }> => {
    const given = factsSchema.parse(JSON.parse(await readFile(`${facts}/${json}`, 'utf8')));
    const { stdout: source } = await execa('git', ['--git-dir', git ?? '', 'show', `${commit}:.circleci/config.yml`]);
    const draft = draftFromCircleci(source, { file: '.circleci/config.yml', project: 'hysds/hysds-framework' });
    if (!draft.ok) throw new Error(JSON.stringify(draft.failure));
    return { given, draft: draft.value, text: writeDraft(draft.value), source };
  };

  test('gives a sound config that is a twentieth as long, or a tenth', async () => {
    const { draft, text, source } = await load();
    expect(source.split('\n').length).toBe(lines);
    expect(text.split('\n').length).toBeLessThan(lines > 2000 ? lines / 20 : lines / 8);
    for (const workflow of draft.workflows.map(({ name }) => name)) {
      const config = readConfig(text, { file: 'splitbuild.yaml', env: {}, set: {}, git: { tag: 'v6.0' }, workflow });
      expect(config).toMatchObject({ ok: true, value: { warnings: [] } });
    }
  });

  test('has the same family', async () => {
    const { given, draft } = await load();
    const expected = new Set(Object.keys(given.jobs).flatMap((name) => imagesOfJob(name, given)));
    expect(draft.images.map(({ name }) => name).sort()).toEqual([...expected].sort());
    expect(draft.family).toBe('hysds');
  });

  test('has the same edges', async () => {
    const { given, draft } = await load();
    const found = draft.images.flatMap(({ name, needs }) => needs.map((other) => `${name} needs ${other}`));
    expect(found.sort()).toEqual([...edgesOf(given)].sort());
  });

  test('has the same workflows, with the tags that they give and the images that they start', async () => {
    const { given, draft } = await load();
    expect(draft.workflows.map(({ name }) => name).sort()).toEqual(Object.keys(given.workflows).sort());
    for (const workflow of draft.workflows) {
      const jobs = given.workflows[workflow.name]?.jobs ?? [];
      const params = jobs.map((job) => job.params);
      const tags = ['build_tag', 'final_tag']
        .flatMap((name) => params.map((one) => one[name] ?? ''))
        .filter((tag) => tag !== '');
      expect(workflow.tags).toEqual([...new Set(tags)].map((tag) => tag.replace('$CIRCLE_TAG', '${gitTag}')));
      if (workflow.tags.length === 0) continue;
      const started = new Set(jobs.flatMap(({ name }) => imagesOfJob(name, given)));
      const left = draft.images.map(({ name }) => name).filter((name) => !started.has(name));
      expect([...workflow.disable].sort()).toEqual(left.sort());
    }
  });

  test('has the same build arguments', async () => {
    const { given, draft } = await load();
    for (const image of draft.images) {
      const job = Object.entries(given.jobs).find(
        ([name]) => imagesOfJob(name, given).join() === image.name && !name.endsWith('-manifest'),
      );
      const names = (job?.[1].buildArgs ?? []).map((arg) => arg.split('=')[0]);
      expect(Object.keys(image.args)).toEqual([...new Set(names)]);
    }
  });
});
