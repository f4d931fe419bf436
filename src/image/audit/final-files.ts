// The programs of an image's final file system: those of every layer that no later one removes, replaces or buries (image-spec, layer.md,
// "Applying Changesets"). Paths are taken as layers write them: one that goes through a symbolic link of another layer counts as its own.
import type { Digest } from '../oci.ts';
import type { Binary } from './binary.ts';
import { hashPath, type LayerFacts, type PathHash } from './layer-facts.ts';

export interface FinalBinary {
  /** Of several hard links the first that is left. */
  path: string;
  layer: Digest;
  binary: Binary;
}

export interface FinalFiles {
  binaries: FinalBinary[];
  /** Names, without their folders, of the dynamic loaders. */
  loaders: string[];
}

/** `layers` in the manifest's order: the base first. */
export function finalFiles(layers: { digest: Digest; facts: LayerFacts }[]): FinalFiles {
  const hashes = new Map<string, PathHash>();
  const hashed = (path: string): PathHash => {
    const known = hashes.get(path) ?? hashPath(path);
    // Folders come again and again.
    hashes.set(path, known);
    return known;
  };
  const isLeft = (path: string, above: LayerFacts[]): boolean => {
    const own = hashPath(path);
    const folders = foldersOf(path).map(hashed);
    return !above.some(
      ({ files, directories, opaque }) =>
        files.has(own) || directories.has(own) || folders.some((folder) => files.has(folder) || opaque.has(folder)),
    );
  };
  const found: FinalFiles = { binaries: [], loaders: [] };
  for (const [nth, { digest, facts }] of layers.entries()) {
    const above = layers.slice(nth + 1).map((layer) => layer.facts);
    for (const { paths, binary } of facts.binaries) {
      const path = paths.find((path) => isLeft(path, above));
      if (path !== undefined) found.binaries.push({ path, layer: digest, binary });
    }
    for (const path of facts.loaders) {
      if (isLeft(path, above)) found.loaders.push(path.slice(path.lastIndexOf('/') + 1));
    }
  }
  return found;
}

/** `/a/b/c`: `/`, `/a`, `/a/b`. */
function foldersOf(path: string): string[] {
  const folders = ['/'];
  for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1)) folders.push(path.slice(0, at));
  return folders;
}
