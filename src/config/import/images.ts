// From pieces to the images and groups of a draft: where each is built from, with what, and for which platforms.
import { posix } from 'node:path';
import type { Build } from './acts.ts';
import type { DraftImage, Note } from './draft.ts';
import type { JobRun } from './job-run.ts';
import type { Piece } from './pieces.ts';
import { splitArch, splitReference, splitRegistry } from './references.ts';
import { readable } from './symbols.ts';
import { joinLegs, type TemplateContext, type Templates } from './templates.ts';

export interface Made {
  image: DraftImage;
  key: string;
  pieces: Piece[];
}

/** Of a job's parameters those that say which image it makes, by the job's name. */
export type Identity = ReadonlyMap<string, ReadonlySet<string>>;

/** Builds one draft image of the pieces of each repository, in the order in which they come. */
export function imagesOf(pieces: readonly Piece[], identity: Identity, templates: Templates): Made[] {
  const keys = [...new Set(pieces.filter(({ origin }) => origin.kind !== 'again').map(({ key }) => key))];
  const names = namesOf(keys);
  return keys.map((key): Made => {
    const own = pieces.filter((piece) => piece.key === key);
    return { key, pieces: own, image: imageOf(names.get(key) ?? key, own, identity, templates) };
  });
}

/** The last component of each repository, or more of it where two have the same. */
function namesOf(keys: readonly string[]): Map<string, string> {
  const clean = (text: string): string =>
    readable(text)
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[._-]+|[._-]+$/g, '') || 'image';
  const short = keys.map((key) => clean(splitRegistry(key).path.split('/').at(-1) ?? key));
  const used = new Set<string>();
  return new Map(
    keys.map((key, index) => {
      const name = short[index] ?? 'image';
      let wanted = short.filter((other) => other === name).length > 1 ? clean(splitRegistry(key).path) : name;
      while (used.has(wanted)) wanted = `${wanted}-2`;
      used.add(wanted);
      return [key, wanted];
    }),
  );
}

/** Parameters that say which image a job makes, where one job makes several. */
export function identityOf(pieces: readonly Piece[]): Identity {
  const found = new Map<string, Set<string>>();
  for (const job of new Set(pieces.map((piece) => piece.job.job))) {
    const byKey = new Map<string, Piece[]>();
    for (const piece of pieces)
      if (piece.job.job === job) byKey.set(piece.key, [...(byKey.get(piece.key) ?? []), piece]);
    const groups = [...byKey.values()];
    const names = new Set(groups.flat().flatMap((piece) => Object.keys(piece.job.params)));
    const telling = [...names].filter((name) => {
      const values = groups.map((group) =>
        [...new Set(group.map((piece) => piece.job.params[name] ?? ''))].sort().join('\0'),
      );
      return groups.length > 1 && new Set(values).size > 1;
    });
    found.set(job, new Set(telling));
  }
  return found;
}

export function contextOf(piece: Piece, owner: string, identity: Identity, job: JobRun = piece.job): TemplateContext {
  const tags = job.outputs.flatMap(({ reference }) => splitReference(reference).tag ?? []);
  return {
    job,
    owner,
    identity: identity.get(job.job) ?? new Set(),
    tags: [...new Set([...tags, piece.fullTag])].map((full) => {
      const arch = splitArch(full);
      return { full, rest: arch?.rest ?? full, isLeg: arch !== undefined };
    }),
  };
}

function imageOf(name: string, pieces: Piece[], identity: Identity, templates: Templates): DraftImage {
  const makers = pieces.filter(({ origin }) => origin.kind !== 'again');
  const [first] = makers;
  const { registry: _registry, path } = splitRegistry(first?.key ?? name);
  const platforms = [...new Set(makers.flatMap((piece) => piece.platforms))];
  const image: DraftImage = {
    name,
    repository: templates.toText(path, {}),
    args: {},
    secrets: [],
    platforms,
    needs: [],
    vars: {},
    notes: [],
  };
  if (!first) return image;
  const job = jobName(first.job.job, [name]);
  if (job !== undefined && job !== name) image.job = job;
  const { origin } = first;
  if (origin.kind === 'mirror') {
    image.mirror = templates.toText(origin.from, first.job.params);
    // A copy takes every platform that there is.
    const joinedFrom = pieces.flatMap((piece) => (piece.origin.kind === 'again' ? piece.platforms : []));
    image.platforms = joinedFrom.length > 0 ? [...new Set(joinedFrom)] : [];
    return image;
  }
  if (makers.every((piece) => piece.isEmulated)) image.mode = 'emulated';
  if (origin.kind === 'unknown')
    image.notes.push({ line: first.line, text: `nothing here is seen to build ${readable(first.key)}` });
  if (origin.kind === 'build') fillFromBuild(image, makers, identity, templates);
  return image;
}

/** `hysds_base` of `build-hysds_base-amd64`: what stands in the names of its jobs, if that speaks of its images. */
export function jobName(job: string, images: readonly string[]): string | undefined {
  const inner = /^build[-_](.+)$/.exec(job)?.[1];
  if (inner === undefined) return undefined;
  const base = splitArch(inner)?.rest ?? inner;
  const letters = (text: string): string => text.replace(/[^A-Za-z0-9]/g, '').toLowerCase();
  if (!images.some((image) => letters(base).includes(letters(image)))) return undefined;
  return /^[A-Za-z0-9_-]+$/.test(base) ? base : undefined;
}

function fillFromBuild(image: DraftImage, makers: Piece[], identity: Identity, templates: Templates): void {
  const [first] = makers;
  /** One for each platform, of one run. */
  const legs = makers.filter(
    (piece, index) =>
      piece.run === first?.run &&
      piece.origin.kind === 'build' &&
      makers.findIndex((other) => other.run === piece.run && other.platforms.join() === piece.platforms.join()) ===
        index,
  );
  const notes: Note[] = [];
  for (const piece of makers) {
    if (
      piece.run !== first?.run ||
      piece.job !== first?.job ||
      piece.origin.kind !== 'build' ||
      first.origin.kind !== 'build'
    )
      continue;
    if (piece.platforms.join() !== first.platforms.join() || piece.origin.build === first.origin.build) continue;
    if (JSON.stringify(variant(piece.origin.build)) === JSON.stringify(variant(first.origin.build))) continue;
    notes.push({
      line: piece.line,
      text: `${readable(piece.tag)} is built in another way: ${inWords(piece.origin.build)}`,
    });
  }
  const joined = (
    what: string,
    read: (build: Build, piece: Piece, by: JobRun) => string | undefined,
  ): string | undefined => {
    const texts = legs.flatMap((piece) => {
      if (piece.origin.kind !== 'build') return [];
      const text = read(piece.origin.build, piece, piece.origin.by);
      if (text === undefined) return [];
      const context = contextOf(piece, image.name, identity, piece.origin.by);
      return [{ text: templates.toTemplate(text, context), platform: piece.platforms[0] ?? '', line: piece.line }];
    });
    const result = joinLegs(texts);
    const [one] = texts;
    const other = texts.find(({ text }) => text !== one?.text);
    if (one && result === undefined && other)
      notes.push({ line: other.line, text: `${what} is ${other.text} for ${other.platform}` });
    return result ?? one?.text;
  };
  const places = (build: Build, by: JobRun): Place => placeOf(build.context, by);
  const source = joined('the source', (build, _piece, by) => places(build, by).source);
  const context = joined('the context', (build, _piece, by) => places(build, by).path);
  const dockerfile = joined('the Dockerfile', (build, _piece, by) => {
    if (build.dockerfile === undefined) return undefined;
    return /^\//.test(build.dockerfile) ? placeOf(build.dockerfile, by).path : build.dockerfile;
  });
  const target = joined('the target', (build) => build.target);
  if (source !== undefined) image.source = source;
  if (context !== undefined && context !== '' && context !== '.') image.context = context;
  if (dockerfile !== undefined && dockerfile !== posix.join(context ?? '', 'Dockerfile')) image.dockerfile = dockerfile;
  if (target !== undefined) image.target = target;
  const names = new Set(
    legs.flatMap(({ origin }) => (origin.kind === 'build' ? origin.build.args.map(([name]) => name) : [])),
  );
  for (const name of names) {
    const value = joined(`${name}`, (build) => build.args.find(([key]) => key === name)?.[1]);
    if (value !== undefined) image.args[name] = value;
  }
  const secrets = legs.flatMap(({ origin }) => (origin.kind === 'build' ? origin.build.secrets : []));
  image.secrets = [...new Set(secrets)].filter((name) => /^[A-Za-z_]\w*$/.test(name));
  for (const name of new Set(secrets)) {
    if (!image.secrets.includes(name))
      notes.push({ line: first?.line ?? 1, text: `secret ${name}: no environment variable can have this name` });
  }
  image.notes.push(...notes);
}

/** What makes one build another image than the next. */
function variant({ args, dockerfile, context, target }: Build): unknown {
  return [args, dockerfile, context, target];
}

function inWords({ args, dockerfile, context, target }: Build): string {
  const words = [
    ...(dockerfile === undefined ? [] : [`-f ${dockerfile.replace(/^\//, '')}`]),
    ...(target === undefined ? [] : [`--target ${target}`]),
    ...args.map(([name, value]) => `--build-arg ${name}=${readable(value)}`),
    context.replace(/^\/(?=.)/, '').replace(/^\/$/, '.'),
  ];
  return words.join(' ');
}

interface Place {
  source?: string;
  /** From the top of the source; empty for the top itself. */
  path: string;
}

/** Where an absolute path lies: in a clone, or in the checkout. */
export function placeOf(path: string, job: JobRun): Place {
  if (!path.startsWith('/')) return { source: path, path: '' };
  const clone = job.clones.findLast(({ folder }) => path === folder || path.startsWith(`${folder}/`));
  if (!clone) return { path: path.slice(1) };
  return { source: `${clone.url}#${clone.ref ?? 'HEAD'}`, path: path.slice(clone.folder.length + 1) };
}
