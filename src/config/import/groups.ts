// Groups: images that one script of a job makes together.
import type { DraftGroup } from './draft.ts';
import { contextOf, type Identity, jobName, type Made, placeOf } from './images.ts';
import type { Piece } from './pieces.ts';
import { splitArch, splitRegistry } from './references.ts';
import { concrete } from './symbols.ts';
import { joinLegs, type Templates } from './templates.ts';

export interface MadeGroup {
  group: DraftGroup;
  /** Jobs that run its script. */
  jobs: Set<string>;
}

export function groupsOf(images: readonly Made[], identity: Identity, templates: Templates): MadeGroup[] {
  const byJob = new Map<string, { members: Made[]; pieces: Piece[] }>();
  for (const made of images) {
    const scripted = made.pieces.filter(({ origin }) => origin.kind === 'script');
    const [first] = scripted;
    if (!first || made.pieces.some(({ origin }) => origin.kind === 'build')) continue;
    // Legs of one image are of one group: the name without the platform's.
    const id = groupId(first);
    const group = byJob.get(id) ?? { members: [], pieces: [] };
    byJob.set(id, { members: [...group.members, made], pieces: [...group.pieces, ...scripted] });
  }
  return [...byJob.values()].map(({ members, pieces }): MadeGroup => {
    const [first] = pieces;
    const names = members.map(({ image }) => image.name);
    const job = jobName(first?.job.job ?? '', names);
    const family = splitRegistry(first?.key ?? '').path.split('/')[0] ?? '';
    const base = job ?? splitArch(first?.job.invocation.name ?? '')?.rest ?? first?.job.invocation.name ?? 'group';
    const name = base.startsWith(`${family}_`) || base.startsWith(`${family}-`) ? base.slice(family.length + 1) : base;
    const group: DraftGroup = { name, images: names, script: '', vars: {}, notes: [] };
    if (job !== undefined && job !== name) group.job = job;
    // Names in CI jobs are one for each: a group's is what its jobs are called.
    for (const { image } of members) {
      delete image.job;
      if (image.name === (group.job ?? name)) image.job = `${image.name}-image`;
    }
    const legs = pieces.filter(
      (piece, index) =>
        piece.run === first?.run &&
        pieces.findIndex((other) => other.run === piece.run && other.job.platform === piece.job.platform) === index,
    );
    const texts = legs.flatMap((piece) => {
      if (piece.origin.kind !== 'script') return [];
      const { words, product, cwd } = piece.origin;
      const context = { ...contextOf(piece, groupOwner(name), identity), product };
      const script = words
        .map((command) => command.map((word) => quote(templates.toTemplate(word, context))).join(' '))
        .join(' && ');
      const place = placeOf(cwd, piece.job);
      const source = place.source === undefined ? undefined : templates.toTemplate(place.source, context);
      const folder = place.source === undefined && place.path !== '' ? `cd ${place.path} && ` : '';
      return [
        {
          text: folder + script,
          source: source && place.path ? `${source}:${place.path}` : source,
          platform: piece.platforms[0] ?? '',
          line: piece.line,
        },
      ];
    });
    const [one] = texts;
    group.script = joinLegs(texts) ?? one?.text ?? '';
    const other = texts.find(({ text }) => text !== one?.text);
    if (other && joinLegs(texts) === undefined)
      group.notes.push({ line: other.line, text: `for ${other.platform} the script is ${other.text}` });
    if (one?.source !== undefined) group.source = one.source;
    return { group, jobs: new Set(pieces.map((piece) => piece.job.job)) };
  });
}

/** The owner of a group's variables: an image may have the same name. */
export function groupOwner(name: string): string {
  return `group ${name}`;
}

/** A script's group: the job's name without a platform, and the parameters that tell its images apart. */
function groupId({ job }: Piece): string {
  const script = job.outputs.flatMap(({ origin }) =>
    origin.kind === 'script' ? [origin.words.map(([name]) => name).join()] : [],
  )[0];
  return `${splitArch(job.job)?.rest ?? job.job}\0${script}\0${splitArch(concrete(job.invocation.name, job.params))?.rest ?? job.invocation.name}`;
}

function quote(word: string): string {
  return /^[\w./:=@%+,${}-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
