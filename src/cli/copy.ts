// `splitbuild copy`: images from one registry, or layout on disk, to another, whole and as they are.
import { access, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { type Copied, type Copier, createCopier } from '../copy/copier.ts';
import { layoutSource, layoutTarget } from '../copy/layout.ts';
import { type Place, parsePlace, withTag } from '../copy/place.ts';
import type { ImageSource } from '../copy/store.ts';
import { createTurns } from '../copy/turns.ts';
import { fail, ok, type Result } from '../failure.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import { repositoryFolder } from '../registry/embedded/layout.ts';
import { createClient } from './client.ts';
import { interruptSignal, loadConfig, printFailure } from './load.ts';

export interface CopyCommand {
  config: string;
  state: string;
  allTags?: true | undefined;
  fromFile?: string | undefined;
  referrers?: true | undefined;
  plainHttp: string[];
  json?: true | undefined;
}

interface Pair {
  from: Place;
  to: Place;
}

/** Images under way at a time; their blobs share the copier's turns. */
const imagesAtATime = 6;

/** `places`: SRC DST, or SRC… PREFIX/. */
export async function copy(places: string[], options: CopyCommand): Promise<number> {
  const signal = interruptSignal();
  const pairs = await readPairs(places, options);
  if (!pairs.ok) return printFailure(pairs.failure);
  const stores = await openStores(options);
  if (!stores.ok) return printFailure(stores.failure);
  const { client, embedded } = stores.value;
  const targets = new Map<string, ReturnType<typeof layoutTarget>>();
  const copiers = new Map<string, Copier>();
  const sources = new Map<string, ImageSource>();

  const sourceOf = async (place: Place): Promise<{ key: string; store: ImageSource }> => {
    const { kind, reference } = place;
    const own =
      kind === 'registry' && reference.registry === 'docker.io' ? await embedded(reference.repository) : undefined;
    const key = kind === 'layout' ? place.folder : (own ?? '');
    if (key === '') return { key, store: client };
    const store = sources.get(key) ?? layoutSource(() => key);
    sources.set(key, store);
    return { key, store };
  };
  const copierFor = async ({ from, to }: Pair): Promise<Copier> => {
    const source = await sourceOf(from);
    const folder = to.kind === 'layout' ? to.folder : '';
    const key = `${source.key}\n${folder}`;
    const target = folder === '' ? client : (targets.get(folder) ?? layoutTarget(folder));
    if ('close' in target) targets.set(folder, target);
    const copier = copiers.get(key) ?? createCopier(source.store, target);
    copiers.set(key, copier);
    return copier;
  };

  try {
    const wanted = options.allTags
      ? await everyTag(pairs.value, async (place) => (await sourceOf(place)).store, signal)
      : pairs;
    if (!wanted.ok) return printFailure(wanted.failure);
    const turns = createTurns(imagesAtATime);
    const results = await Promise.all(
      wanted.value.map(async (pair) => {
        const done = await turns.take(async () => {
          const copier = await copierFor(pair);
          return copier.copy(withTag(pair.from), destination(pair), { referrers: options.referrers ?? false }, signal);
        }, signal);
        if (!options.json) report(pair, done);
        return { pair, done };
      }),
    );
    if (options.json) {
      const images = results.map(({ pair, done }) => ({
        from: nameOf(pair.from),
        to: nameOf({ ...pair.to, reference: destination(pair) }),
        ...(done.ok ? done.value : { failure: done.failure }),
      }));
      process.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`);
    }
    let code = 0;
    for (const { done } of results) if (!done.ok) code = Math.max(code, printFailure(done.failure));
    if (results.length > 1 && code === 0 && !options.json)
      process.stdout.write(`${results.length} images are there.\n`);
    return code;
  } finally {
    await Promise.all([...targets.values()].map((target) => target.close()));
  }
}

function report({ from, to }: Pair, done: Result<Copied>): void {
  if (!done.ok) return;
  const { moved, digest, blobs, bytes } = done.value;
  const what = moved
    ? `${(bytes / 1e6).toFixed(1)} MB sent, ${blobs.mounted} blobs mounted, ${blobs.present} there already`
    : 'there already';
  process.stdout.write(
    `${nameOf(from)} → ${nameOf({ ...to, reference: destination({ from, to }) })}  ${digest}  ${what}\n`,
  );
}

/** A destination that names no tag gets the source's; a digest alone stays one. */
function destination({ from, to }: Pair): Reference {
  if (to.reference.tag || to.reference.digest) return to.reference;
  const { tag } = withTag(from);
  return tag ? { ...to.reference, tag } : to.reference;
}

function nameOf(place: Place): string {
  const reference = withTag(place);
  if (place.kind === 'registry') return formatReference(reference);
  return `oci:${place.folder}${reference.tag ? `:${reference.tag}` : ''}`;
}

async function readPairs(places: string[], options: CopyCommand): Promise<Result<Pair[]>> {
  if (options.fromFile !== undefined) {
    if (places.length > 0) return usage('images are named both on the command line and by --from-file');
    return readList(options.fromFile);
  }
  const [first, last] = [places[0], places.at(-1)];
  if (first === undefined || last === undefined || places.length < 2) {
    return usage('copy wants a source and a destination');
  }
  if (places.length === 2 && !last.endsWith('/')) return onePair(first, last);
  if (!last.endsWith('/'))
    return usage(`of several images, the destination is a prefix that ends in '/', not '${last}'`);
  return each(places.slice(0, -1), (text) => {
    const from = parsePlace(text);
    if (!from.ok) return from;
    const { kind, reference } = from.value;
    if (kind === 'layout') return usage(`${text} has no name to put behind ${last}`);
    const { repository, tag } = reference;
    const name = reference.registry === 'docker.io' ? repository.replace(/^library\//, '') : repository;
    const to = parsePlace(`${last}${name}${tag ? `:${tag}` : ''}`);
    return to.ok ? ok({ from: from.value, to: to.value }) : to;
  });
}

async function readList(file: string): Promise<Result<Pair[]>> {
  let text: string;
  try {
    text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8');
  } catch (error) {
    return usage(`${file} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const lines = text.split('\n').map((line, at) => ({
    words: line
      .replace(/(^|\s)#.*/, '')
      .trim()
      .split(/\s+/),
    at: at + 1,
  }));
  return each(
    lines.filter(({ words }) => words[0] !== ''),
    ({ words: [from = '', to, more], at }) => {
      if (to === undefined || more !== undefined) return usage(`${file}:${at}: a line is a source and a destination`);
      return onePair(from, to);
    },
  );
}

function onePair(source: string, destination: string): Result<Pair[]> {
  const from = parsePlace(source);
  if (!from.ok) return from;
  const to = parsePlace(destination);
  return to.ok ? ok([{ from: from.value, to: to.value }]) : to;
}

function each<T>(items: T[], read: (item: T) => Result<Pair | Pair[]>): Result<Pair[]> {
  const pairs: Pair[] = [];
  for (const item of items) {
    const pair = read(item);
    if (!pair.ok) return pair;
    pairs.push(...(Array.isArray(pair.value) ? pair.value : [pair.value]));
  }
  return ok(pairs);
}

/** A pair for each tag of its source. */
async function everyTag(
  pairs: Pair[],
  sourceOf: (place: Place) => Promise<ImageSource>,
  signal: AbortSignal,
): Promise<Result<Pair[]>> {
  const all: Pair[] = [];
  for (const { from, to } of pairs) {
    if (from.reference.tag || from.reference.digest) return usage(`${nameOf(from)} names one image, not all tags`);
    const store = await sourceOf(from);
    const tags = await store.listTags(from.reference, signal);
    if (!tags.ok) return tags;
    const tagged = (place: Place, tag: string): Place => ({ ...place, reference: { ...place.reference, tag } });
    all.push(...tags.value.map((tag) => ({ from: tagged(from, tag), to: tagged(to, tag) })));
  }
  return ok(all);
}

/** How registries are reached, by the flag and by the config where there is one; and the embedded registry's layouts. */
async function openStores(options: CopyCommand) {
  const config = await loadConfig({ ...options, set: [] });
  const { folder, registries }: Pick<Config, 'folder' | 'registries'> = config.ok
    ? config.value
    : { folder: '.', registries: {} };
  const plain = Object.fromEntries(options.plainHttp.map((host) => [host, { ...registries[host], plainHttp: true }]));
  const reach = createClient({ folder, registries: { ...registries, ...plain } });
  if (!reach.ok) return reach;
  return ok({
    client: reach.value.client,
    /** The folder of a repository of the embedded registry; undefined where it has none of that name. */
    embedded: async (repository: string): Promise<string | undefined> => {
      const root = resolve(options.state, 'registry');
      // A name without a host was given Docker Hub's `library/`.
      for (const name of [repository, repository.replace(/^library\//, '')]) {
        const at = repositoryFolder(root, name);
        const there = await access(join(at, 'index.json')).then(
          () => true,
          () => false,
        );
        if (there) return at;
      }
      return undefined;
    },
  });
}

function usage(message: string): Result<never> {
  const help = 'splitbuild copy SRC DST, splitbuild copy SRC… PREFIX/, or splitbuild copy --from-file FILE';
  return fail({ kind: 'usage', message, help });
}
