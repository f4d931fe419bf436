// What the audit keeps of a layer: its programs, and which paths it has or removes. Nothing of it depends on a platform or on the layers
// around it, so a layer that many images share is read once and its facts are kept.
import { hash } from 'node:crypto';
import { z } from 'zod';
import { ok, type Result } from '../../failure.ts';
import type { LayerEntry } from '../layers/entry.ts';
import { readLayer } from '../layers/read-layer.ts';
import type { Descriptor } from '../oci.ts';
import type { LayerStore, Repository } from '../store.ts';
import { type Binary, headBytes, leastBytes, parseBinary } from './binary.ts';
import { anyLoader } from './expect.ts';

export interface LayerBinary {
  /** The file's names: more than one where there are hard links to it. */
  paths: string[];
  binary: Binary;
}

export interface LayerFacts {
  /** Entries of the tar. */
  entries: number;
  binaries: LayerBinary[];
  /** Dynamic loaders, as files or as links. */
  loaders: string[];
  /** Of all that is no directory, removals included: what lies there in a layer below, or underneath, is gone. */
  files: Set<PathHash>;
  /** A directory replaces a file of a layer below. */
  directories: Set<PathHash>;
  /** What lies in them in layers below is gone. */
  opaque: Set<PathHash>;
  /** Programs beyond the first of so many are not kept: such a layer is made to fill memory. */
  truncated: boolean;
  /** Why the layer was not read. */
  skipped?: string;
}

/**
 * 48 bits of a path's SHA-256: a layer may have millions of paths, and all that is asked is whether one is among them. Among a million, a
 * path that isn't there is found once in 280 million questions; a program would then be taken for gone.
 */
export type PathHash = number;

export function hashPath(path: string): PathHash {
  return hash('sha256', path, 'buffer').readUIntBE(0, 6);
}

const maxBinaries = 250_000;
const maxPathBytes = 64 << 20;

export async function readLayerFacts(
  store: LayerStore,
  repository: Repository,
  layer: Descriptor,
  signal: AbortSignal,
): Promise<Result<LayerFacts>> {
  const collected = new Collected();
  const read = await readLayer(store, repository, layer, (entry) => collected.visit(entry), signal);
  if (!read.ok) return read;
  const { entries, skipped } = read.value;
  return ok({ ...collected.facts(), entries, ...(skipped === undefined ? {} : { skipped }) });
}

class Collected {
  readonly #files = new Set<PathHash>();
  readonly #directories = new Set<PathHash>();
  readonly #opaque = new Set<PathHash>();
  readonly #names = new Map<string, LayerBinary>();
  readonly #loaders = new Set<string>();
  #pathBytes = 0;
  #truncated = false;

  visit(entry: LayerEntry): { head: number; take(bytes: Buffer): void } | undefined {
    const { path, type, size } = entry;
    if (type === 'opaque') {
      this.#opaque.add(hashPath(path));
      return undefined;
    }
    const hashed = hashPath(path);
    if (type === 'directory') this.#directories.add(hashed);
    else this.#files.add(hashed);
    // A removal is of layers below: what this layer has there itself stays.
    if (type === 'whiteout') return undefined;
    // The same name again: the later one counts.
    this.#forget(path);
    if (type === 'directory' || type === 'other') return undefined;
    if (anyLoader.test(path.slice(path.lastIndexOf('/') + 1)) && this.#fits(path)) this.#loaders.add(path);
    if (type === 'hardlink') {
      const target = entry.linkTarget === undefined ? undefined : this.#names.get(entry.linkTarget);
      if (target && this.#fits(path)) {
        target.paths.push(path);
        this.#names.set(path, target);
      }
      return undefined;
    }
    if (type !== 'file' || size < leastBytes) return undefined;
    return {
      head: headBytes,
      take: (bytes) => {
        const binary = parseBinary(bytes);
        if (binary && this.#fits(path)) this.#names.set(path, { paths: [path], binary });
      },
    };
  }

  #forget(path: string): void {
    this.#loaders.delete(path);
    const before = this.#names.get(path);
    if (!before) return;
    this.#names.delete(path);
    before.paths = before.paths.filter((other) => other !== path);
  }

  #fits(path: string): boolean {
    this.#pathBytes += path.length;
    const fits = this.#names.size < maxBinaries && this.#pathBytes < maxPathBytes;
    this.#truncated ||= !fits;
    return fits;
  }

  facts(): Omit<LayerFacts, 'entries' | 'skipped'> {
    return {
      binaries: [...new Set(this.#names.values())],
      loaders: [...this.#loaders],
      files: this.#files,
      directories: this.#directories,
      opaque: this.#opaque,
      truncated: this.#truncated,
    };
  }
}

/** The form on disk. Its version changes with what is kept or how programs are read: facts of another are read anew. */
const storedVersion = 1;

const binarySchema = z.object({
  format: z.enum(['elf', 'pe', 'mach-o']),
  machine: z.number().int().nonnegative(),
  bits: z.union([z.literal(32), z.literal(64)]),
  endian: z.enum(['little', 'big']),
  type: z.enum(['executable', 'shared', 'relocatable', 'core', 'other']),
  floatAbi: z.enum(['hard', 'soft']).optional(),
  interpreter: z.string().optional(),
  managed: z.boolean().optional(),
  standalone: z.boolean().optional(),
}) satisfies z.ZodType<Binary>;

/** Hashes of 6 bytes each, one after the other. */
const hashesSchema = z.base64().transform((text) => {
  const bytes = Buffer.from(text, 'base64');
  const hashes = new Set<PathHash>();
  for (let at = 0; at + 6 <= bytes.length; at += 6) hashes.add(bytes.readUIntBE(at, 6));
  return hashes;
});

const storedSchema = z.object({
  version: z.literal(storedVersion),
  entries: z.number().int().nonnegative(),
  binaries: z.array(z.object({ paths: z.array(z.string()).min(1), binary: binarySchema })),
  loaders: z.array(z.string()),
  files: hashesSchema,
  directories: hashesSchema,
  opaque: hashesSchema,
  truncated: z.boolean(),
});

export function writeFacts(facts: LayerFacts): string {
  const { entries, binaries, loaders, truncated } = facts;
  const [files, directories, opaque] = [facts.files, facts.directories, facts.opaque].map(packed);
  const stored: z.input<typeof storedSchema> = {
    version: storedVersion,
    entries,
    binaries,
    loaders,
    files: files ?? '',
    directories: directories ?? '',
    opaque: opaque ?? '',
    truncated,
  };
  return JSON.stringify(stored);
}

function packed(hashes: Set<PathHash>): string {
  const bytes = Buffer.alloc(hashes.size * 6);
  let at = 0;
  for (const value of hashes) at = bytes.writeUIntBE(value, at, 6);
  return bytes.toString('base64');
}

/** undefined for what is no such file, or of another version. */
export function parseFacts(text: string): LayerFacts | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const stored = storedSchema.safeParse(json);
  return stored.success ? stored.data : undefined;
}
