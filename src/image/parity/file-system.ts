// The files of an image as a container sees them: its layers put on each other, whiteouts and opaque folders obeyed (image-spec,
// layer.md#applying-changesets). Only facts of paths are kept, and the content of the few files that are asked for.
import { fail, ok, type Result } from '../../failure.ts';
import type { LayerEntry } from '../layers/entry.ts';
import { readLayer } from '../layers/read-layer.ts';
import { tarLimits } from '../layers/tar.ts';
import type { Manifest } from '../oci.ts';
import type { LayerStore, Repository } from '../store.ts';

export interface FileFacts {
  type: 'file' | 'directory' | 'symlink' | 'other';
  /** Permissions with setuid, setgid and sticky: 12 bits. */
  mode: number;
  uid: number;
  gid: number;
  /** Bytes of content; 0 for all that is no file. */
  size: number;
  /** Of a symlink, as it is written. */
  target?: string;
}

export interface FileSystem {
  /** By the path from the root, which itself is not among them. */
  files: Map<string, FileFacts>;
  /** Content of the files that `wanted` named. */
  contents: Map<string, Uint8Array>;
}

/** What one layer has: the last entry of a path counts, as when it is unpacked. */
interface LayerFiles {
  entries: Map<string, LayerEntry>;
  contents: Map<string, Uint8Array>;
  /** Paths of which nothing is left of the layers below, neither itself nor what is in it. */
  removed: Set<string>;
  /** Folders of which the content of the layers below is gone. */
  emptied: Set<string>;
}

/**
 * From the uppermost layer down, so that each path is decided once and what upper layers hide costs nothing. Failures: the store's, a
 * layer that is malformed, one that lies elsewhere, a wanted file of more than 256 MiB.
 */
export async function readFileSystem(
  store: LayerStore,
  repository: Repository,
  manifest: Manifest,
  wanted: (path: string) => boolean,
  signal: AbortSignal,
): Promise<Result<FileSystem>> {
  const above = new Above();
  for (const descriptor of manifest.layers.toReversed()) {
    const layer: LayerFiles = { entries: new Map(), contents: new Map(), removed: new Set(), emptied: new Set() };
    const where = `${repository.registry}/${repository.repository} layer ${descriptor.digest}`;
    let tooLarge: string | undefined;
    const visit: Parameters<typeof readLayer>[3] = (entry) => {
      if (isMarker(entry) || !above.hides(entry.path)) note(layer, entry);
      // What is hidden itself still ended what the layers below had in a folder of its name.
      else if (entry.type !== 'directory') layer.removed.add(entry.path);
      if (!layer.entries.has(entry.path)) return undefined;
      if (entry.type !== 'file' || !wanted(entry.path)) return undefined;
      if (entry.size > tarLimits.head) tooLarge = entry.path;
      return { head: entry.size, take: (bytes) => layer.contents.set(entry.path, Uint8Array.from(bytes)) };
    };
    const read = await readLayer(store, repository, descriptor, visit, signal);
    if (!read.ok) return read;
    if (read.value.skipped !== undefined) {
      return fail({
        kind: 'verification',
        message: `the files of a layer can't be compared: ${read.value.skipped}`,
        where,
        help: 'compare images of which every layer is in the registry',
      });
    }
    // A wanted file may be another name of one that nobody wanted (OSTree links rpm's database to its objects): read once more for it.
    const sources = unreadSources(layer, wanted);
    if (sources.size > 0) {
      const again: typeof visit = (entry) => {
        if (entry.type !== 'file' || !sources.has(entry.path)) return undefined;
        if (entry.size > tarLimits.head) tooLarge = entry.path;
        return { head: entry.size, take: (bytes) => layer.contents.set(entry.path, Uint8Array.from(bytes)) };
      };
      const second = await readLayer(store, repository, descriptor, again, signal);
      if (!second.ok) return second;
    }
    if (tooLarge !== undefined) {
      const message = `${tooLarge} is larger than 256 MiB, and would have to be read as a whole`;
      return fail({ kind: 'verification', message, where, help: 'verify the image without --parity' });
    }
    above.put(layer);
  }
  above.addImpliedFolders();
  const { files, contents } = above.system;
  for (const [path, { type }] of files) {
    if (type !== 'file' || contents.has(path) || !wanted(path)) continue;
    return fail({
      kind: 'verification',
      message: `${path} is a hard link to a file of another layer, which can't be read`,
      where: `${repository.registry}/${repository.repository}`,
      help: 'verify the image without --parity',
    });
  }
  return ok(above.system);
}

/** Paths of the files that wanted hard links of a layer are other names of, and whose content was not taken. */
function unreadSources(layer: LayerFiles, wanted: (path: string) => boolean): Set<string> {
  const sources = new Set<string>();
  for (const [path, entry] of layer.entries) {
    if (entry.type !== 'hardlink' || !wanted(path)) continue;
    const source = sourceOf(layer, entry);
    if (source?.type === 'file' && !layer.contents.has(source.path)) sources.add(source.path);
  }
  return sources;
}

function isMarker({ type }: LayerEntry): boolean {
  return type === 'whiteout' || type === 'opaque';
}

function note(layer: LayerFiles, entry: LayerEntry): void {
  switch (entry.type) {
    case 'whiteout':
      layer.removed.add(entry.path);
      return;
    case 'opaque':
      layer.emptied.add(entry.path);
      return;
    default:
      if (entry.path === '/') return;
      layer.contents.delete(entry.path);
      layer.entries.set(entry.path, entry);
  }
}

/** The layers that were put together so far, and what they hide of those below. */
class Above {
  readonly system: FileSystem = { files: new Map(), contents: new Map() };
  readonly #removed = new Set<string>();
  readonly #emptied = new Set<string>();
  /** Folders that files lie in without an entry of their own so far: below, only a folder fits there. */
  readonly #implied = new Set<string>();
  /** Hard links to files of layers below: link by link, to the path that is yet to come. */
  readonly #open = new Map<string, string>();

  hides(path: string): boolean {
    if (this.system.files.has(path) || this.#removed.has(path)) return true;
    for (const folder of parents(path)) if (this.#removed.has(folder) || this.#emptied.has(folder)) return true;
    return false;
  }

  put(layer: LayerFiles): void {
    const { files, contents } = this.system;
    for (const [path, entry] of layer.entries) {
      // A file or link of this layer where those above need a folder is gone, with all that it stood for.
      if (entry.type !== 'directory' && this.#implied.has(path)) {
        this.#removed.add(path);
        continue;
      }
      const source = entry.type === 'hardlink' ? sourceOf(layer, entry) : entry;
      const content = layer.contents.get(source?.path ?? path);
      if (content !== undefined) contents.set(path, content);
      if (source === undefined) this.#open.set(path, entry.linkTarget ?? '');
      files.set(path, factsOf(source ?? entry));
      this.#implied.delete(path);
      if (entry.type !== 'directory') this.#removed.add(path);
    }
    for (const [link, target] of this.#open) {
      const entry = layer.entries.get(target);
      const source = entry && sourceOf(layer, entry);
      if (source === undefined) continue;
      files.set(link, factsOf(source));
      this.#open.delete(link);
    }
    for (const path of layer.entries.keys()) {
      for (const folder of parents(path)) if (!files.has(folder)) this.#implied.add(folder);
    }
    for (const path of layer.removed) this.#removed.add(path);
    for (const path of layer.emptied) this.#emptied.add(path);
  }

  addImpliedFolders(): void {
    for (const folder of this.#implied) if (folder !== '/') this.system.files.set(folder, impliedFolder);
  }
}

/** A folder that no layer has an entry for is made by the engine that unpacks. */
const impliedFolder: FileFacts = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0 };

/** What a hard link is another name of, where that is in the same layer: the entry itself where it is no hard link. */
function sourceOf(layer: LayerFiles, entry: LayerEntry): LayerEntry | undefined {
  let at: LayerEntry | undefined = entry;
  // Links of links, as long as there are entries: a ring ends.
  for (let step = 0; at?.type === 'hardlink'; step++) {
    if (step > 40) return undefined;
    at = layer.entries.get(at.linkTarget ?? '');
  }
  return at;
}

function factsOf({ type, mode, uid, gid, size, linkTarget }: LayerEntry): FileFacts {
  const kind = type === 'directory' || type === 'symlink' || type === 'other' ? type : 'file';
  const target = kind === 'symlink' ? linkTarget : undefined;
  return { type: kind, mode: mode & 0o7777, uid, gid, size, ...(target === undefined ? {} : { target }) };
}

/** `/a/b` and `/a` of `/a/b/c`, and `/` at last. */
function* parents(path: string): Generator<string> {
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1))
    yield path.slice(0, slash);
  yield '/';
}
