// Before tags move: does an image hold programs of another machine? A Dockerfile that downloads the amd64 release on arm64 builds well,
// and fails only where it is run. The headers of all programs in the layers are read as these stream by; nothing is run.
import { fail, ok, type Result } from '../../failure.ts';
import { inLanes } from '../../lanes.ts';
import { underAny } from '../../signals.ts';
import { printable } from '../layers/entry.ts';
import type { Descriptor, Digest, Manifest } from '../oci.ts';
import type { Platform } from '../platform.ts';
import { isManifest, type LayerStore, type Repository } from '../store.ts';
import { allowedPaths } from './allowed.ts';
import type { AuditCache } from './cache.ts';
import { describeBinary, judge, type Problem } from './expect.ts';
import { finalFiles } from './final-files.ts';
import { type LayerFacts, readLayerFacts } from './layer-facts.ts';

export interface AuditFinding {
  /** In the final file system. */
  path: string;
  layer: Digest;
  problem: Problem;
  /** `ELF 64-bit x86-64` */
  found: string;
  /** `ELF 64-bit AArch64` */
  expected: string;
}

/** What was seen and stops nothing. */
export interface AuditNote {
  why: string;
  count: number;
  /** The first few, with what was found there. */
  examples: string[];
}

export interface AuditReport {
  /** In the order of layers and of the files in them. */
  findings: AuditFinding[];
  notes: AuditNote[];
  /** Programs and libraries of any kind in the final file system; of hard links, one. */
  binaries: number;
  /** Layers that were streamed for this audit. */
  layersRead: number;
  /** Layers whose facts were there, or that another audit was reading just then. */
  layersKnown: number;
  /** Bytes of blobs that were streamed. */
  bytesRead: number;
}

export interface AuditOptions {
  /** Globs of paths that may hold programs of other machines, besides those of allowed.ts. */
  allow: string[];
  cache: AuditCache;
}

/** Layers of an image that are read at a time. */
const atOnce = 3;
const examplesOfNote = 3;

/**
 * `image`: an image's manifest, or its descriptor. The audit judges the final file system: what a later layer deletes or replaces does
 * not count. Failures are those of readLayer and of the store.
 */
export async function auditImage(
  store: LayerStore,
  repository: Repository,
  image: Manifest | Descriptor,
  platform: Platform,
  { allow, cache }: AuditOptions,
  signal: AbortSignal,
): Promise<Result<AuditReport>> {
  const manifest = isWhole(image) ? ok(image) : await readManifest(store, repository, image, signal);
  if (!manifest.ok) return manifest;
  const layers = manifest.value.layers;
  const read = await readAll(store, repository, layers, cache, signal);
  if (!read.ok) return read;
  const notes = new Map<string, AuditNote>();
  const note = (why: string, example: string): void => {
    const before = notes.get(why) ?? { why, count: 0, examples: [] };
    if (before.examples.length < examplesOfNote) before.examples.push(example);
    notes.set(why, { ...before, count: before.count + 1 });
  };
  const known: { digest: Digest; facts: LayerFacts }[] = [];
  for (const { digest } of layers) {
    const facts = read.value.facts.get(digest);
    if (!facts) continue;
    known.push({ digest, facts });
    if (facts.skipped !== undefined) note(`a layer was not read: ${facts.skipped}`, digest);
    if (facts.truncated) note('a layer has more programs than are looked at', digest);
  }
  const { binaries, loaders } = finalFiles(known);
  const allowed = allowedPaths(allow);
  const findings: AuditFinding[] = [];
  for (const { path, layer, binary } of binaries) {
    const verdict = judge(binary, platform, loaders);
    if (verdict === 'fits') continue;
    const found = describeBinary(binary);
    const why = 'data' in verdict ? verdict.data : allowed(path);
    if (why !== undefined) note(why, `${printable(path)}: ${found}`);
    else if ('problem' in verdict) findings.push({ path, layer, found, ...verdict });
  }
  const { layersRead, layersKnown, bytesRead } = read.value;
  return ok({ findings, notes: [...notes.values()], binaries: binaries.length, layersRead, layersKnown, bytesRead });
}

function isWhole(image: Manifest | Descriptor): image is Manifest {
  return 'layers' in image && 'config' in image;
}

async function readManifest(
  store: LayerStore,
  repository: Repository,
  { digest }: Descriptor,
  signal: AbortSignal,
): Promise<Result<Manifest>> {
  const { registry, repository: name } = repository;
  const stored = await store.getManifest({ registry, repository: name, digest }, signal);
  if (!stored.ok) return stored;
  if (isManifest(stored.value)) return ok(stored.value.content);
  return fail({
    kind: 'verification',
    message: 'the image of one platform was to be audited, and there is an index',
    where: `${registry}/${name}@${digest}`,
  });
}

interface Layers {
  facts: Map<Digest, LayerFacts>;
  layersRead: number;
  layersKnown: number;
  bytesRead: number;
}

async function readAll(
  store: LayerStore,
  repository: Repository,
  layers: Descriptor[],
  cache: AuditCache,
  signal: AbortSignal,
): Promise<Result<Layers>> {
  const done: Layers = { facts: new Map(), layersRead: 0, layersKnown: 0, bytesRead: 0 };
  // An image may have a layer twice, the empty one above all.
  const waiting = [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
  const stop = new AbortController();
  const read = await underAny([signal, stop.signal], (either) =>
    inLanes(atOnce, waiting, async (layer): Promise<Result<void>> => {
      const known = await factsOf(store, repository, layer, cache, either);
      if (!known.ok) {
        stop.abort();
        return known;
      }
      const { facts, streamed } = known.value;
      done.facts.set(layer.digest, facts);
      if (facts.skipped !== undefined) return ok(undefined);
      if (streamed) done.bytesRead += layer.size;
      done[streamed ? 'layersRead' : 'layersKnown'] += 1;
      return ok(undefined);
    }),
  );
  return read.ok ? ok(done) : read;
}

/** Layers that are being read at this moment, by the cache that they will be in: images of a family share most of theirs. */
const underWay = new WeakMap<AuditCache, Map<Digest, Promise<Result<LayerFacts>>>>();

async function factsOf(
  store: LayerStore,
  repository: Repository,
  layer: Descriptor,
  cache: AuditCache,
  signal: AbortSignal,
): Promise<Result<{ facts: LayerFacts; streamed: boolean }>> {
  const { digest } = layer;
  const known = await cache.read(digest);
  if (known) return ok({ facts: known, streamed: false });
  const others = underWay.get(cache) ?? new Map<Digest, Promise<Result<LayerFacts>>>();
  underWay.set(cache, others);
  const other = others.get(digest);
  if (other) {
    const facts = await other;
    if (signal.aborted) return fail({ kind: 'cancelled' });
    if (facts.ok) return ok({ facts: facts.value, streamed: false });
    // It failed for whoever began it, who may have been cancelled, or had no access: that is no answer for this audit.
    return factsOf(store, repository, layer, cache, signal);
  }
  const reading = readAndKeep(store, repository, layer, cache, signal).finally(() => others.delete(digest));
  others.set(digest, reading);
  const facts = await reading;
  return facts.ok ? ok({ facts: facts.value, streamed: true }) : facts;
}

async function readAndKeep(
  store: LayerStore,
  repository: Repository,
  layer: Descriptor,
  cache: AuditCache,
  signal: AbortSignal,
): Promise<Result<LayerFacts>> {
  const facts = await readLayerFacts(store, repository, layer, signal);
  if (facts.ok && facts.value.skipped === undefined) await cache.write(layer.digest, facts.value);
  return facts;
}
