// Reads a hand-written CircleCI pipeline that builds images, and makes a draft of a config of it: every job is followed through its
// shell as each workflow starts it, and what the jobs do to images is put together by image.
import { type Diagnostic, fail, ok, type Result } from '../../failure.ts';
import { type ReadPipeline, readPipeline } from './circleci-schema.ts';
import { settingsOf } from './circleci-settings.ts';
import { type Invocation, type Run, readRuns } from './circleci-workflows.ts';
import type { Draft, DraftWorkflow, Note } from './draft.ts';
import { edgesOf } from './edges.ts';
import { filesOf } from './files.ts';
import { groupOwner, groupsOf, type MadeGroup } from './groups.ts';
import { identityOf, imagesOf, type Made } from './images.ts';
import { type JobRun, runJob } from './job-run.ts';
import { layerValues, type Value } from './layers.ts';
import { type Piece, piecesOf, type Started } from './pieces.ts';
import { splitRegistry } from './references.ts';
import { concrete, readable, symbolsOf } from './symbols.ts';
import { createTemplates, type Templates } from './templates.ts';
import { tagsOf, workflowOf } from './workflows.ts';

export interface CircleciOptions {
  /** Path of the pipeline, for diagnostics and notes. */
  file: string;
  /** `owner/repository` that it lies in, where that is known. */
  project?: string;
}

export function draftFromCircleci(source: string, options: CircleciOptions): Result<Draft> {
  const read = readPipeline(source, options.file);
  if (!read.ok) return read;
  const pipeline = read.value;
  const { all, runs } = startAll(pipeline, options.project);
  // Which image a job makes that nothing starts may be for its parameters to say.
  const pieces = piecesOf(all).filter(
    ({ key, run: started }) => started || symbolsOf(key).every(({ kind }) => kind !== 'param'),
  );
  const gitBranch = pieces.some(({ tag, origin }) =>
    /(config\uE003branch|CIRCLE_BRANCH)\uE001/.test(`${tag}${JSON.stringify(origin)}`),
  );
  const templates = createTemplates(gitBranch);
  const identity = identityOf(pieces);
  const images = imagesOf(pieces, identity, templates);
  const groups = groupsOf(images, identity, templates);
  if (images.length === 0) return fail({ kind: 'diagnostics', diagnostics: [noImages(pipeline)] });

  const edges = edgesOf(all, images, groups);
  for (const { image } of images) image.needs = edges.get(image.name) ?? [];
  const files = filesOf(all, images, templates);
  const platforms = inOrder([...new Set(images.flatMap(({ image }) => image.platforms))]);
  const kept = keptJobs(pipeline, all, pieces);
  const settings = settingsOf(pipeline, all, pieces, kept);
  const notes: Note[] = [...settings.notes, ...files.notes];
  const tags = tagsOf(images, runs, templates);
  const workflows = runs.map((run) => workflowOf(run, images, tags, files, all, kept, pipeline));
  const said = new Set<string>();
  for (const workflow of workflows) {
    workflow.notes = workflow.notes.filter(({ line, text }) => !said.has(`${line} ${text}`));
    for (const { line, text } of workflow.notes) said.add(`${line} ${text}`);
  }
  const vars = variablesOf(images, groups, workflows, templates, all);
  for (const name of templates.unknowns()) {
    vars[name] = 'unknown';
    const [from] = all.flatMap(({ job }) => job.outputsOfCommands.get(name) ?? []);
    const text = `${name}${from ? `=$(${from.source})` : ''}: give it with --set ${name}=…`;
    notes.push({ line: from?.line ?? 1, text });
  }
  notes.push(...placeNotes(all, images, groups));
  const registry = registryOf(images, templates, notes);
  const built = images.filter(({ image }) => image.mirror === undefined);
  const emulated = built.length > 0 && built.every(({ image }) => image.mode === 'emulated');
  for (const { image } of images) {
    image.platforms = inOrder(image.platforms);
    if (emulated) delete image.mode;
    if (image.platforms.length === platforms.length) image.platforms = [];
  }
  const ending = pieces.find((piece) => piece.ending !== undefined && piece.ending !== '')?.ending;
  const draft: Draft = {
    file: options.file,
    family: familyName(images, options.project),
    ...(registry === undefined ? {} : { registry }),
    platforms: platforms.length > 0 ? platforms : ['linux/amd64'],
    ...(emulated ? { mode: 'emulated' } : {}),
    ...(ending !== undefined && /^[_.]/.test(ending) ? { archTagSuffix: `${ending.slice(0, 1)}\${arch}` } : {}),
    vars,
    images: images.map(({ image }) => image),
    groups: groups.map(({ group }) => group),
    exports: files.exports,
    assets: files.assets,
    workflows,
    ci: settings.ci,
    notes,
  };
  return ok(draft);
}

/** Every job as every run starts it; those that no workflow starts, once with their defaults. */
function startAll(read: ReadPipeline, project: string | undefined): { all: Started[]; runs: Run[] } {
  const situation = project === undefined ? {} : { project };
  const alone = (job: string): JobRun => {
    const params = Object.entries(read.pipeline.jobs[job]?.parameters ?? {}).flatMap(([name, { default: value }]) =>
      value === undefined || typeof value === 'object' ? [] : [[name, String(value)]],
    );
    const invocation: Invocation = {
      job,
      name: job,
      params: Object.fromEntries(params),
      requires: [],
      contexts: [],
      filters: {},
      line: read.lineOf(['jobs', job]),
      isApproval: false,
    };
    return runJob(read, invocation, { on: {}, ...situation });
  };
  const byName = new Map(Object.keys(read.pipeline.jobs).map((name) => [name, alone(name)]));
  const runs = readRuns(read, (name) => {
    const job = byName.get(name);
    return job !== undefined && matters(job);
  });
  const all = runs.flatMap((run) =>
    run.invocations.map(
      (invocation): Started => ({ run, job: runJob(read, invocation, { on: run.on, ...situation }) }),
    ),
  );
  const started = new Set(all.map(({ job }) => job.job));
  for (const [name, job] of byName) if (!started.has(name) && matters(job)) all.push({ job });
  return { all, runs };
}

function noImages(read: ReadPipeline): Diagnostic {
  const spot = read.parsed.spot(['jobs']);
  return {
    code: 'no-images',
    severity: 'error',
    message: 'no job of this pipeline is seen to push a container image',
    location: read.parsed.locate(spot?.key ?? { start: 0, end: 1 }),
    help: "the import knows docker, buildx, skopeo and scripts in 'run' steps; what an orb or a setup workflow builds is not in this file",
  };
}

function matters({ outputs, saves, uploads }: JobRun): boolean {
  return outputs.length > 0 || saves.length > 0 || uploads.length > 0;
}

/** Jobs that do nothing to images and are started by some workflow. */
function keptJobs(read: ReadPipeline, all: readonly Started[], pieces: readonly Piece[]): string[] {
  const busy = new Set([
    ...all.filter(({ job }) => matters(job)).map(({ job }) => job.job),
    ...pieces.flatMap(({ origin }) => (origin.kind === 'build' ? [origin.by.job] : [])),
  ]);
  const started = new Set(all.flatMap(({ job, run }) => (run ? [job.job] : [])));
  return Object.keys(read.pipeline.jobs).filter((name) => started.has(name) && !busy.has(name));
}

/** Puts the values of parameters that became variables where they belong; gives those of the file. */
function variablesOf(
  images: readonly Made[],
  groups: readonly MadeGroup[],
  workflows: readonly DraftWorkflow[],
  templates: Templates,
  all: readonly Started[],
): Record<string, string> {
  const values: Value[] = [];
  const uses = templates.uses();
  for (const { name, owner } of uses) {
    const group = groups.find((one) => groupOwner(one.group.name) === owner);
    const image = group ? undefined : images.find((one) => one.image.name === owner);
    const jobs = group ? all.filter(({ job }) => group.jobs.has(job.job)) : (image?.pieces ?? []);
    for (const { job, run } of jobs) {
      const value = job.params[name];
      if (value === undefined) continue;
      values.push({
        variable: templates.nameOf(name),
        owner,
        value: templates.toText(value, job.params),
        ...(run ? { run } : {}),
      });
    }
  }
  const order = [...new Set(uses.map(({ name }) => templates.nameOf(name)))];
  const layered = layerValues(values, order);
  for (const workflow of workflows) workflow.vars = layered.workflows.get(workflow.name) ?? {};
  for (const { image } of images) image.vars = layered.owners.get(image.name) ?? {};
  for (const { group } of groups) group.vars = layered.owners.get(groupOwner(group.name)) ?? {};
  for (const { owner, note } of layered.notes) {
    (
      groups.find((one) => groupOwner(one.group.name) === owner)?.group ??
      images.find((one) => one.image.name === owner)?.image
    )?.notes.push(note);
  }
  return layered.file;
}

/** What jobs do besides: to the image or group that they build, or to the file where several share it. */
function placeNotes(all: readonly Started[], images: readonly Made[], groups: readonly MadeGroup[]): Note[] {
  const shared: Note[] = [];
  const seen = new Set<string>();
  for (const { job } of all) {
    if (job.outputs.length === 0) continue;
    for (const { text, line, own } of job.others) {
      const note = { line, text: readable(concrete(text, own ? {} : job.params)) };
      const id = `${line}\0${note.text}`;
      if (seen.has(id)) continue;
      seen.add(id);
      const target =
        groups.find(({ jobs }) => jobs.has(job.job))?.group ??
        images.find(({ pieces }) => pieces.some((piece) => piece.job.job === job.job))?.image;
      const place = own && target ? target.notes : shared;
      if (!place.some((other) => other.text === note.text)) place.push(note);
    }
  }
  const unstarted = images.filter(({ pieces }) => pieces.every(({ run }) => run === undefined));
  if (unstarted.length > 0) {
    const line = Math.min(...unstarted.flatMap(({ pieces }) => pieces.map((piece) => piece.job.invocation.line)));
    shared.push({
      line,
      text: `no workflow starts the jobs of ${unstarted.map(({ image }) => image.name).join(', ')}`,
    });
  }
  return shared;
}

function registryOf(images: readonly Made[], templates: Templates, notes: Note[]): string | undefined {
  const counts = new Map<string, number>();
  for (const { key } of images) {
    const { registry = 'docker.io' } = splitRegistry(key);
    const text = templates.toText(registry, {});
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const [best] = [...counts].sort((a, b) => b[1] - a[1]);
  for (const { key, image, pieces } of images) {
    const { registry = 'docker.io' } = splitRegistry(key);
    const text = templates.toText(registry, {});
    if (text !== best?.[0]) notes.push({ line: pieces[0]?.line ?? 1, text: `${image.name} goes to ${text}` });
  }
  return best?.[0];
}

function familyName(images: readonly Made[], project: string | undefined): string {
  const owners = new Set(
    images
      .map(({ key }) => splitRegistry(key).path.split('/'))
      .map((parts) => (parts.length > 1 ? parts[0] : undefined)),
  );
  const [owner] = owners;
  if (owners.size === 1 && owner !== undefined && symbolsOf(owner).length === 0) return owner;
  return project?.split('/')[1] ?? images[0]?.image.name ?? 'images';
}

/** amd64 first, as everyone writes it. */
function inOrder(platforms: readonly string[]): string[] {
  const rank = (platform: string): number => ['linux/amd64', 'linux/arm64'].indexOf(platform) + 1 || 9;
  return [...platforms].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}
