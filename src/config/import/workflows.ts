// The workflows of a draft: which tags a run publishes, which images and files it leaves out, and which other jobs it starts.
import type { ReadPipeline } from './circleci-schema.ts';
import type { Run } from './circleci-workflows.ts';
import type { DraftWorkflow } from './draft.ts';
import type { Files } from './files.ts';
import type { Made } from './images.ts';
import type { Started } from './pieces.ts';
import type { Templates } from './templates.ts';

/** Tags of each image in each run, in the order in which they are pushed. */
export function tagsOf(
  images: readonly Made[],
  runs: readonly Run[],
  templates: Templates,
): Map<Run, Map<string, string[]>> {
  return new Map(
    runs.map((run) => [
      run,
      new Map(
        images.flatMap(({ image, pieces }): [string, string[]][] => {
          const own = pieces
            .filter((piece) => piece.run === run)
            .map((piece) => templates.toText(piece.tag, piece.job.params));
          return own.length > 0 ? [[image.name, [...new Set(own)]]] : [];
        }),
      ),
    ]),
  );
}

export function workflowOf(
  run: Run,
  images: readonly Made[],
  tags: Map<Run, Map<string, string[]>>,
  files: Files,
  all: readonly Started[],
  kept: readonly string[],
  read: ReadPipeline,
): DraftWorkflow {
  const own = tags.get(run) ?? new Map<string, string[]>();
  const saved = files.byRun.get(run.name);
  const workflow: DraftWorkflow = {
    name: run.name,
    on: run.on,
    vars: {},
    tags: [],
    disable: [],
    assets: [...(saved?.assets ?? [])],
    jobs: [],
    notes: [],
  };
  const counts = new Map<string, number>();
  for (const [name, list] of own) {
    const image = images.find((one) => one.image.name === name);
    if (image && fixedTags(name, tags)) image.image.tags = list;
    else counts.set(list.join('\0'), (counts.get(list.join('\0')) ?? 0) + 1);
  }
  const usual = [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
  workflow.tags = usual?.split('\0') ?? [...own.values()][0] ?? [];
  // An image that is pushed without one of the tags that others have was forgotten rather than meant so.
  const lists = [...counts.keys()].map((list) => list.split('\0'));
  for (const list of lists) {
    if (list.length > workflow.tags.length && workflow.tags.every((tag) => list.includes(tag))) workflow.tags = list;
  }
  for (const [name, list] of own) {
    const image = images.find((one) => one.image.name === name);
    if (!image || image.image.tags || sameSet(list, workflow.tags)) continue;
    const line = image.pieces.find((piece) => piece.run === run)?.line ?? run.line;
    image.image.notes.push({ line, text: `pushed as ${list.join(', ')} in workflow ${run.name}` });
  }
  if (own.size > 0) workflow.disable = images.map(({ image }) => image.name).filter((name) => !own.has(name));
  const exported = files.exports.map(({ image }) => image);
  const ownExports = exported.filter((name) => saved?.exports.has(name));
  if (own.size > 0 && ownExports.length < exported.filter((name) => own.has(name)).length)
    workflow.exports = ownExports;
  const present = all.filter((one) => one.run === run);
  workflow.jobs = [...new Set(present.map(({ job }) => job.job).filter((name) => kept.includes(name)))];
  const building = present.filter(({ job }) => job.outputs.length > 0);
  for (const { job } of present) {
    const { invocation } = job;
    if (invocation.isApproval)
      workflow.notes.push({ line: invocation.line, text: `${invocation.name} waits for an approval` });
    else if (!read.pipeline.jobs[invocation.job])
      workflow.notes.push({ line: invocation.line, text: `job ${invocation.job} is not in this file` });
    if (!workflow.jobs.includes(invocation.job)) continue;
    const waiting = building
      .filter((other) => other.job.invocation.requires.includes(invocation.name))
      .map((other) => other.job.invocation.name);
    if (waiting.length > 0)
      workflow.notes.push({
        line: invocation.line,
        text: `${waiting.join(', ')} ${waiting.length > 1 ? 'wait' : 'waits'} for ${invocation.name}`,
      });
  }
  return workflow;
}

/** Whether an image has tags of its own, the same in every run and no other's: a mirror that keeps its version. */
function fixedTags(name: string, tags: Map<Run, Map<string, string[]>>): boolean {
  const own = [...tags.values()].flatMap((byImage) =>
    byImage.has(name) ? [(byImage.get(name) ?? []).join('\0')] : [],
  );
  const others = [...tags.values()].flatMap((byImage) =>
    [...byImage].flatMap(([other, list]) => (other === name ? [] : [list.join('\0')])),
  );
  return new Set(own).size === 1 && others.length > 0 && !others.includes(own[0] ?? '') && !/\$/.test(own[0] ?? '');
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one) => b.includes(one));
}
