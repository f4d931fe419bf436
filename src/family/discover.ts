// Finds the Dockerfiles of a folder and which is built on which, by names alone: a family that has no config yet.
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { type FoundReference, readReferences } from '../dockerfile/references.ts';
import { type Diagnostic, fail, ok, type Result } from '../failure.ts';
import type { Platform } from '../image/platform.ts';

export interface DiscoveredImage {
  /** Path of its folder in the root, and the variant's suffix: `images/base-notebook`, `images/base-notebook/cuda`. */
  name: string;
  /** Relative to the root, with `/`. */
  dockerfile: string;
  /** Relative to the root, with `/`; `.` for the root itself. */
  folder: string;
  /** Name of the image that a symbolic link leads to; an alias has no references of its own. */
  aliasOf?: string;
  references: FoundReference[];
  problems: Diagnostic[];
}

export interface DiscoveredFamily {
  /** Absolute. */
  root: string;
  /** By name. */
  images: DiscoveredImage[];
  /** `to` is built on `from`; `via` is the reference that says so, with its ARGs filled in. */
  edges: { from: string; to: string; via: string }[];
  /** Each begins and ends with the same image. */
  cycles?: string[][];
}

export interface DiscoverOptions {
  /** linux/amd64 by default. */
  platform?: Platform;
  args?: Record<string, string>;
}

interface Found {
  /** Relative paths with `/`. */
  dockerfiles: { folder: string; file: string }[];
  links: { path: string; target: string }[];
}

/** Reads a folder's Dockerfiles. What is wrong with one of them is its own problem, and doesn't stop the rest. */
export async function discoverFolder(dir: string, options: DiscoverOptions = {}): Promise<Result<DiscoveredFamily>> {
  const root = resolve(dir);
  const status = await stat(root).catch(() => undefined);
  if (!status?.isDirectory()) {
    return fail({
      kind: 'usage',
      message: status ? `'${dir}' is not a folder` : `there is no folder '${dir}'`,
      where: root,
      help: 'name a folder that has Dockerfiles in it',
    });
  }
  const found: Found = { dockerfiles: [], links: [] };
  await walk(root, '.', found);
  const images = await Promise.all(nameAll(found.dockerfiles, root).map((image) => read(image, root, options)));
  if (images.length === 0) {
    return fail({
      kind: 'usage',
      message: `there is no Dockerfile in '${dir}'`,
      where: root,
      help: 'a file counts if it is named Dockerfile, Dockerfile.<variant>, <variant>.Dockerfile or Containerfile',
    });
  }
  images.push(...(await aliases(found.links, images, root, options)));
  images.sort((a, b) => (a.name < b.name ? -1 : 1));
  const edges = findEdges(images);
  const cycles = findCycles(images, edges);
  return ok({ root, images, edges, ...(cycles.length > 0 ? { cycles } : {}) });
}

/** Links to folders are noted, not entered: so no link can lead in a circle, or out of the root into everything. */
async function walk(root: string, folder: string, found: Found): Promise<void> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => []);
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (entry.name !== '.git' && entry.name !== 'node_modules') await walk(root, path, found);
    } else if (entry.isSymbolicLink() && (await stat(join(root, path)).catch(() => undefined))?.isDirectory()) {
      found.links.push({ path, target: await realpath(join(root, path)) });
    } else if (variant(entry.name) !== undefined) found.dockerfiles.push({ folder, file: entry.name });
  }
}

/** `''` for a Dockerfile, `cuda` for a Dockerfile.cuda or cuda.Dockerfile, undefined for any other file. */
function variant(file: string): string | undefined {
  if (/\.dockerignore$/i.test(file)) return undefined;
  const [, after, before] = /^(?:(?:Dockerfile|Containerfile)(?:\.(.+))?|(.+)\.(?:Dockerfile|Containerfile))$/i.exec(
    file,
  ) ?? [undefined, undefined, undefined];
  if (after !== undefined || before !== undefined) return after ?? before;
  return /^(?:Dockerfile|Containerfile)$/.test(file) ? '' : undefined;
}

function nameAll(dockerfiles: Found['dockerfiles'], root: string): DiscoveredImage[] {
  const taken = new Set<string>();
  // Plain Dockerfiles first, so that a variant gives way where both would have one name.
  const sorted = [...dockerfiles].sort((a, b) => Number(variant(a.file) !== '') - Number(variant(b.file) !== ''));
  return sorted.map(({ folder, file }) => {
    const dockerfile = folder === '.' ? file : `${folder}/${file}`;
    const suffix = variant(file) ?? '';
    const parts = [...(folder === '.' ? [] : [folder]), ...(suffix ? [suffix] : [])];
    const wanted = parts.join('/') || basename(root);
    const name = taken.has(wanted) ? dockerfile : wanted;
    taken.add(name);
    return { name, dockerfile, folder, references: [], problems: [] };
  });
}

async function read(image: DiscoveredImage, root: string, options: DiscoverOptions): Promise<DiscoveredImage> {
  const path = join(root, image.dockerfile);
  const file = relative(process.cwd(), path) || path;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const message = `${file} can't be read: ${error instanceof Error ? error.message : String(error)}`;
    return { ...image, problems: [{ code: 'no-dockerfile', severity: 'error', message }] };
  }
  const platform = options.platform ?? { os: 'linux', architecture: 'amd64' };
  const result = readReferences(text, { file, platform, args: options.args ?? {} });
  if (!result.ok) {
    if (result.failure.kind === 'diagnostics') return { ...image, problems: result.failure.diagnostics };
    throw new Error(`reading ${file} failed as ${result.failure.kind}`);
  }
  const { references, warnings } = result.value;
  const unresolved = references
    .filter(({ state }) => state === 'unresolved')
    .map(({ written, reason, location }): Diagnostic => {
      const message = `'${written}' can't be resolved to an image${reason ? `: ${reason}` : ''}`;
      return { code: 'unresolved-reference', severity: 'error', message, location };
    });
  return { ...image, references, problems: [...unresolved, ...warnings] };
}

/** The images behind linked folders: aliases of those in the root, images of their own where the link leads out. */
async function aliases(
  links: Found['links'],
  images: DiscoveredImage[],
  root: string,
  options: DiscoverOptions,
): Promise<DiscoveredImage[]> {
  const realRoot = await realpath(root);
  const taken = new Set(images.map(({ name }) => name));
  const added: DiscoveredImage[] = [];
  const add = (image: DiscoveredImage): void => {
    if (taken.has(image.name)) return;
    taken.add(image.name);
    added.push(image);
  };
  for (const { path, target } of links) {
    // A link to a folder that it lies in shows the same images again, without end.
    const parent = join(realRoot, path, '..');
    if (`${parent}${sep}`.startsWith(`${target}${sep}`)) continue;
    if (`${target}${sep}`.startsWith(`${realRoot}${sep}`)) {
      const real = relative(realRoot, target).split(sep).join('/');
      for (const image of images) {
        if (image.folder !== real && !image.folder.startsWith(`${real}/`)) continue;
        const moved = (text: string): string => path + text.slice(real.length);
        add({
          name: moved(image.name),
          dockerfile: moved(image.dockerfile),
          folder: moved(image.folder),
          aliasOf: image.name,
          references: [],
          problems: [],
        });
      }
    } else {
      const outside: Found = { dockerfiles: [], links: [] };
      for (const file of await readdir(target).catch(() => [])) {
        if (variant(file) !== undefined) outside.dockerfiles.push({ folder: path, file });
      }
      for (const image of nameAll(outside.dockerfiles, root)) add(await read(image, root, options));
    }
  }
  return added;
}

function findEdges(images: DiscoveredImage[]): DiscoveredFamily['edges'] {
  const edges = new Map<string, DiscoveredFamily['edges'][number]>();
  for (const image of images) {
    for (const found of image.references) {
      const upstream = found.state === 'needed' ? imageOf(found, image, images) : undefined;
      const from = upstream?.aliasOf ?? upstream?.name;
      if (from === undefined || from === image.name) continue;
      const key = JSON.stringify([from, image.name]);
      if (!edges.has(key)) edges.set(key, { from, to: image.name, via: found.value ?? found.written });
    }
  }
  return [...edges.values()];
}

/** The image whose name shares most of its last path components with the reference; of equals, the nearest. */
function imageOf(found: FoundReference, by: DiscoveredImage, images: DiscoveredImage[]): DiscoveredImage | undefined {
  const { reference } = found;
  if (!reference) return undefined;
  const path = reference.repository.split('/');
  const last = path.at(-1) ?? '';
  const { tag } = reference;
  // `alpine` is Docker Hub's own, and not the folder `firefox/alpine`; `base` may be the folder next to this one.
  const official =
    reference.registry === 'docker.io' &&
    /^(?:library|amd64|arm(?:32|64)v\d|i386|ppc64le|riscv64|s390x)\//.test(reference.repository);
  const score = ({ name }: DiscoveredImage): number => {
    const plain = 2 * sharedEnd(name.split('/'), path);
    if (tag === undefined) return plain;
    // A folder or a file for each version: `php/8.4` or `r-ver_4.6.1.Dockerfile`.
    const folders = sharedEnd(name.split('/'), [...path, tag]);
    const files = ['_', '-', '.'].map((mark) => sharedEnd(name.split('/'), [...path.slice(0, -1), last + mark + tag]));
    const tagged = Math.max(folders > 1 ? folders : 0, ...files);
    return Math.max(plain, tagged > 0 ? 2 * tagged + 1 : 0);
  };
  let best: { image: DiscoveredImage; rank: number[] } | undefined;
  for (const image of images) {
    const matched = score(image);
    if (matched === 0 || (official && !isBeside(image, by))) continue;
    const near = image === by ? Number.MAX_SAFE_INTEGER : sharedStart(image.folder.split('/'), by.folder.split('/'));
    const rank = [matched, near, -image.name.split('/').length];
    if (!best || isGreater(rank, best.rank)) best = { image, rank };
  }
  return best?.image;
}

/** Does the folder that `image`'s own lies in hold `by` as well? */
function isBeside(image: DiscoveredImage, by: DiscoveredImage): boolean {
  const above = image.name.split('/').slice(0, -1);
  return sharedStart(above, by.name.split('/')) === above.length;
}

function sharedStart(a: string[], b: string[]): number {
  const end = a.findIndex((part, index) => part !== b[index]);
  return end < 0 ? a.length : end;
}

function sharedEnd(a: string[], b: string[]): number {
  return sharedStart(a.toReversed(), b.toReversed());
}

function isGreater(a: number[], b: number[]): boolean {
  const index = a.findIndex((part, position) => part !== b[position]);
  return index >= 0 && (a[index] ?? 0) > (b[index] ?? 0);
}

function findCycles(images: DiscoveredImage[], edges: DiscoveredFamily['edges']): string[][] {
  const cycles: string[][] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (name: string, path: string[]): void => {
    if (state.get(name) === 'open') cycles.push([...path.slice(path.indexOf(name)), name]);
    if (state.has(name)) return;
    state.set(name, 'open');
    for (const edge of edges) if (edge.from === name) visit(edge.to, [...path, name]);
    state.set(name, 'done');
  };
  for (const { name } of images) visit(name, []);
  return cycles;
}
