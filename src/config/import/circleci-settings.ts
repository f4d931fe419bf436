// The settings for ci.circleci: the machines that building jobs run on, their contexts, and the jobs that build nothing, as they are.
import type { Path } from '../parse.ts';
import type { ReadPipeline, Step } from './circleci-schema.ts';
import { executorOf, fillIn } from './circleci-steps.ts';
import type { DraftCi, Note } from './draft.ts';
import type { Piece, Started } from './pieces.ts';

export function settingsOf(
  read: ReadPipeline,
  all: readonly Started[],
  pieces: readonly Piece[],
  kept: readonly string[],
): { ci: DraftCi; notes: Note[] } {
  const notes: Note[] = [];
  const makers = pieces.filter(({ origin }) => origin.kind === 'build' || origin.kind === 'script');
  const classOf = ({ job }: Piece): string | undefined => job.resourceClass;
  const plain = (text: string | undefined): text is string => text !== undefined && !text.includes('<<');
  const usual = (list: readonly Piece[]): string | undefined => {
    const counts = new Map<string, number>();
    for (const piece of list) {
      const one = classOf(piece);
      if (plain(one)) counts.set(one, (counts.get(one) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
  };
  const native = makers.filter(({ isEmulated }) => !isEmulated);
  const ci: DraftCi = { resourceClass: {}, contexts: [], jobs: {} };
  const classes: [string, string | undefined][] = [
    ['default', usual(native.filter(({ job }) => job.platform === 'linux/amd64'))],
    ['emulated', usual(makers.filter(({ isEmulated }) => isEmulated))],
    ['linux/arm64', usual(native.filter(({ job }) => job.platform === 'linux/arm64'))],
  ];
  for (const [name, value] of classes) if (value !== undefined) ci.resourceClass[name] = value;
  for (const piece of new Map(makers.map((one) => [`${one.job.job} ${classOf(one)}`, one])).values()) {
    const own = classOf(piece);
    const expected =
      ci.resourceClass[
        piece.isEmulated ? 'emulated' : piece.job.platform === 'linux/arm64' ? 'linux/arm64' : 'default'
      ];
    if (own === expected) continue;
    const text =
      own === undefined
        ? `job ${piece.job.job} runs on the default resource class`
        : `job ${piece.job.job} runs on ${own}`;
    notes.push({ line: read.lineOf(['jobs', piece.job.job, 'resource_class']), text });
  }
  const imageOf = (job: string): string | undefined => executorOf(read, job).docker?.[0]?.image;
  const image = mostFrequent(makers.flatMap(({ job }) => imageOf(job.job) ?? []));
  if (plain(image)) ci.image = image;
  else if (makers[0])
    notes.push({
      line: read.lineOf(['jobs', makers[0].job.job]),
      text: `job ${makers[0].job.job} runs on a machine, in no image`,
    });
  const uploads = all.filter(({ job }) => job.uploads.length > 0 && job.outputs.length === 0);
  const deployImage = mostFrequent(uploads.flatMap(({ job }) => imageOf(job.job) ?? []));
  if (plain(deployImage) && deployImage !== image) ci.deployImage = deployImage;
  const started = all.filter(
    ({ job, run }) => run && (job.outputs.length > 0 || job.uploads.length > 0 || job.saves.length > 0),
  );
  ci.contexts = [...new Set(started.flatMap(({ job }) => job.invocation.contexts))];
  for (const name of kept) ci.jobs[name] = standAlone(read, name, notes);
  return { ci, notes };
}

function mostFrequent(list: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const one of list) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}

/** A job as it is written, with the file's own commands and executors put in, as those stay behind. */
function standAlone(read: ReadPipeline, name: string, notes: Note[]): unknown {
  const job = read.pipeline.jobs[name];
  if (!job) return {};
  const { executor, steps, ...rest } = job;
  const executorName = typeof executor === 'string' ? executor : executor?.name;
  const { parameters: _parameters, ...named } =
    (executorName === undefined ? undefined : read.pipeline.executors?.[executorName]) ?? {};
  const isOrb = executorName !== undefined && !read.pipeline.executors?.[executorName];
  if (isOrb)
    notes.push({
      line: read.lineOf(['jobs', name, 'executor']),
      text: `job ${name} runs in ${executorName} of an orb`,
    });
  const known = Object.fromEntries(Object.entries({ ...named, ...rest }).filter(([, value]) => value !== undefined));
  return {
    ...known,
    ...(isOrb && executor !== undefined ? { executor } : {}),
    ...(steps ? { steps: inline(steps, read, ['jobs', name, 'steps'], name, notes, 0) } : {}),
  };
}

function inline(
  steps: readonly Step[],
  read: ReadPipeline,
  path: Path,
  job: string,
  notes: Note[],
  depth: number,
): unknown[] {
  return steps.flatMap((step, index): unknown[] => {
    const [name = '', given] = typeof step === 'string' ? [step, undefined] : (Object.entries(step)[0] ?? []);
    const command = read.pipeline.commands?.[name];
    if (!command || depth > 5) {
      if (name.includes('/'))
        notes.push({ line: read.lineOf([...path, index]), text: `job ${job} uses the orb's ${name}` });
      return [step];
    }
    const values: Record<string, unknown> = typeof given === 'object' && given !== null ? { ...given } : {};
    const fill = (value: unknown): unknown => {
      if (typeof value === 'string') {
        return fillIn(value, (wanted) => {
          const key = /^parameters\.(.+)$/.exec(wanted)?.[1];
          return key === undefined ? undefined : (values[key] ?? command.parameters?.[key]?.default);
        });
      }
      if (Array.isArray(value)) return value.map(fill);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(one)]));
    };
    return inline(command.steps, read, ['commands', name, 'steps'], job, notes, depth + 1).map(fill);
  });
}
