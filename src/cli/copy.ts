// `splitbuild copy`: images from one registry, or layout on disk, to another, whole and as they are.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { inEmbedded, sourceAnywhere, targetAnywhere } from '../copy/anywhere.ts';
import { type Copied, createCopier } from '../copy/copier.ts';
import { destinationOf, formatPlace, isLayout, parsePlace, withTag } from '../copy/place.ts';
import type { ImageSource } from '../copy/store.ts';
import { createTurns } from '../copy/turns.ts';
import { fail, ok, type Result } from '../failure.ts';
import type { Reference } from '../image/reference.ts';
import { createClient, type Reach } from './client.ts';
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
  from: Reference;
  to: Reference;
}

/** Images under way at a time; their blobs share the copier's turns. */
const imagesAtATime = 6;

/** `places`: SRC DST, or SRC… PREFIX/. */
export async function copy(places: string[], options: CopyCommand): Promise<number> {
  const signal = interruptSignal();
  const read = await readPairs(places, options);
  if (!read.ok) return printFailure(read.failure);
  const reach = await reachRegistries(options);
  if (!reach.ok) return printFailure(reach.failure);
  const root = resolve(options.state, 'registry');
  const { client } = reach.value;
  const source = sourceAnywhere(client, root);
  const found = await Promise.all(read.value.map(async ({ from, to }) => ({ from: await inEmbedded(from, root), to })));
  const pairs = options.allTags ? await everyTag(found, source, signal) : ok(found.map(whole));
  if (!pairs.ok) return printFailure(pairs.failure);
  const target = targetAnywhere(client);
  const copier = createCopier(source, target);
  const turns = createTurns(imagesAtATime);
  try {
    const results = await Promise.all(
      pairs.value.map(async ({ from, to }) => {
        const { referrers = false } = options;
        const done = await turns.take(() => copier.copy(from, to, { referrers }, signal), signal);
        if (!options.json && done.ok) report({ from, to }, done.value);
        return { from: formatPlace(from), to: formatPlace(to), done };
      }),
    );
    if (options.json) {
      const images = results.map(({ from, to, done }) => ({
        from,
        to,
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
    await target.close();
  }
}

function report({ from, to }: Pair, { moved, digest, blobs, bytes }: Copied): void {
  const what = moved
    ? `${(bytes / 1e6).toFixed(1)} MB sent, ${blobs.mounted} blobs mounted, ${blobs.present} there already`
    : 'there already';
  process.stdout.write(`${formatPlace(from)} → ${formatPlace(to)}  ${digest}  ${what}\n`);
}

function whole({ from, to }: Pair): Pair {
  return { from: withTag(from), to: destinationOf(from, to) };
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
  if (last.endsWith('/')) return all(places.slice(0, -1).map((text) => behindPrefix(text, last)));
  if (places.length === 2) return all([onePair(first, last)]);
  return usage(`of several images, the destination is a prefix that ends in '/', not '${last}'`);
}

/** `docker.io/library/redis:7` behind `registry.example.com/mirror/`: `…/mirror/redis:7`. */
function behindPrefix(text: string, prefix: string): Result<Pair> {
  const from = parsePlace(text);
  if (!from.ok) return from;
  if (isLayout(from.value)) return usage(`${text} has no name to put behind ${prefix}`);
  const { registry, repository, tag } = from.value;
  const name = registry === 'docker.io' ? repository.replace(/^library\//, '') : repository;
  const to = parsePlace(`${prefix}${name}${tag ? `:${tag}` : ''}`);
  return to.ok ? ok({ from: from.value, to: to.value }) : to;
}

function onePair(source: string, destination: string): Result<Pair> {
  const from = parsePlace(source);
  if (!from.ok) return from;
  const to = parsePlace(destination);
  return to.ok ? ok({ from: from.value, to: to.value }) : to;
}

/** Lines of two words each; what stands behind a `#` is a comment. */
async function readList(file: string): Promise<Result<Pair[]>> {
  let text: string;
  try {
    text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8');
  } catch (error) {
    return usage(`${file} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  return all(
    text.split('\n').flatMap((line, at) => {
      const words = line
        .replace(/(^|\s)#.*/, '')
        .trim()
        .split(/\s+/);
      const [from = '', to, more] = words;
      if (from === '') return [];
      if (to === undefined || more !== undefined)
        return usage(`${file}:${at + 1}: a line is a source and a destination`);
      return onePair(from, to);
    }),
  );
}

function all(results: Result<Pair>[]): Result<Pair[]> {
  const pairs: Pair[] = [];
  for (const result of results) {
    if (!result.ok) return result;
    pairs.push(result.value);
  }
  return ok(pairs);
}

/** A pair for each tag of its source. */
async function everyTag(pairs: Pair[], source: ImageSource, signal: AbortSignal): Promise<Result<Pair[]>> {
  const tagged: Pair[] = [];
  for (const { from, to } of pairs) {
    if (from.tag || from.digest || to.tag || to.digest) {
      return usage(`--all-tags wants repositories, and ${formatPlace(from)} to ${formatPlace(to)} names one image`);
    }
    const tags = await source.listTags(from, signal);
    if (!tags.ok) return tags;
    tagged.push(...tags.value.map((tag) => ({ from: { ...from, tag }, to: { ...to, tag } })));
  }
  return ok(tagged);
}

/** How registries are reached: by the flag, and by the config where there is one. */
export async function reachRegistries({
  config: file,
  plainHttp,
}: Pick<CopyCommand, 'config' | 'plainHttp'>): Promise<Result<Reach>> {
  const config = await loadConfig({ config: file, set: [] });
  return createClient(config.ok ? config.value : undefined, plainHttp);
}

function usage(message: string): Result<never> {
  const help = 'splitbuild copy SRC DST, splitbuild copy SRC… PREFIX/, or splitbuild copy --from-file FILE';
  return fail({ kind: 'usage', message, help });
}
