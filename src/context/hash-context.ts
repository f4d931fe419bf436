// The digest of a build context: of every path that an engine would be sent, with its kind, mode and content. The same files give the same
// digest on every machine and in every order; owners and times are no part of it, as the client sends none.
import { createHash, hash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Digest } from '../image/oci.ts';
import { openFileHashes } from './cache.ts';
import { readIgnoreRules } from './ignore.ts';
import { type ContextEntry, giveWay, walkContext } from './walk.ts';

export interface HashedContext {
  digest: Digest;
  /** By path: kind, mode, and content's hash or link's target, in one word each. */
  entries: ReadonlyMap<string, string>;
}

/** Bytes up to which a file is read at once; larger ones are read side by side, on libuv's threads. */
const small = 128 << 10;
const largeAtATime = 4;
/** Files, or bytes, of a context from which on a look into the cache is quicker than reading it all. */
const cachedFrom = { files: 32, bytes: 4 << 20 };

/** `cache`: the folder where hashes of files are kept between runs; without it all is read. Throws where the file system does. */
export async function hashContext(
  context: string,
  ignore: string | undefined,
  cache: string | undefined,
): Promise<HashedContext> {
  const begun = cache === undefined ? undefined : () => openFileHashes(cache, `${context}\0${ignore ?? ''}`);
  const found = await walkContext(context, readIgnoreRules(ignore));
  const files = found.flatMap(({ path, state }) => (state ? [{ path, state }] : []));
  const bytes = files.reduce((sum, { state }) => sum + state.size, 0);
  const known = files.length >= cachedFrom.files || bytes >= cachedFrom.bytes ? begun?.() : undefined;
  const hashes = new Map<string, string>();
  const unread: typeof files = [];
  for (const file of files) {
    const before = known?.find(file.path, file.state);
    if (before === undefined) unread.push(file);
    else hashes.set(file.path, before);
  }
  await readAll(context, unread, hashes);
  if (known && unread.length > 0) known.keep(files.map((file) => ({ ...file, hash: hashes.get(file.path) ?? '' })));
  return digestOf(found, hashes);
}

async function readAll(
  context: string,
  files: { path: string; state: { size: number } }[],
  hashes: Map<string, string>,
): Promise<void> {
  for (const { path, state } of files) {
    if (state.size > small) continue;
    hashes.set(path, hash('sha256', readFileSync(join(context, path))));
    const gaveWay = giveWay();
    if (gaveWay) await gaveWay;
  }
  const large = files.filter(({ state }) => state.size > small).values();
  const one = async (): Promise<void> => {
    for (const { path } of large) {
      const content = createHash('sha256');
      await pipeline(createReadStream(join(context, path), { highWaterMark: 1 << 20 }), content);
      hashes.set(path, content.digest('hex'));
    }
  };
  await Promise.all(Array.from({ length: largeAtATime }, one));
}

function digestOf(found: ContextEntry[], hashes: ReadonlyMap<string, string>): HashedContext {
  const sorted = found.sort((a, b) => (a.path < b.path ? -1 : 1));
  const entries = new Map<string, string>();
  const whole = createHash('sha256');
  for (const { path, kind, mode, target } of sorted) {
    // A link's own mode means nothing, and is not the same on every system.
    const bits = kind === 'link' ? '' : mode.toString(8);
    const entry = `${kind} ${bits} ${kind === 'file' ? (hashes.get(path) ?? '') : (target ?? '')}`;
    entries.set(path, entry);
    whole.update(`${path}\0${entry}\0`);
  }
  return { digest: `sha256:${whole.digest('hex')}`, entries };
}
