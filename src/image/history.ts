// Looks for values of secrets in what everybody who has an image can read of it: its config with the history, its annotations, and the
// provenance that BuildKit adds, which names the build's arguments. Layers are not read.
import { fail, ok, type Result } from '../failure.ts';
import { findsSecrets } from '../secret.ts';
import type { Descriptor, Digest, Manifest } from './oci.ts';
import { formatReference } from './reference.ts';
import { type ImageStore, isIndex, isManifest, type Repository } from './store.ts';

/** Media type of an attestation's statement, a layer of its manifest (moby/buildkit, docs/attestations/attestation-storage.md). */
const statementType = 'application/vnd.in-toto+json';
const predicateType = 'in-toto.io/predicate-type';

/**
 * The places that hold one of the values, in any form that `secret.ts` knows: `history[3].created_by`, `config.Env FOO`, `label x`,
 * `annotation x`, `provenance predicate.invocation`. None is good. Of an index, all its images and attestations are looked through.
 */
export async function secretsIn(
  store: ImageStore,
  repository: Repository,
  image: Digest | Descriptor,
  values: readonly string[],
  signal: AbortSignal,
): Promise<Result<string[]>> {
  if (values.length === 0) return ok([]);
  const search: Search = { finds: findsSecrets(values), places: new Set() };
  const digest = typeof image === 'string' ? image : image.digest;
  if (typeof image !== 'string') searchAnnotations(image.annotations, search);
  const looked = await searchManifest(store, repository, digest, search, signal, true);
  return looked.ok ? ok([...search.places]) : looked;
}

interface Search {
  finds: (text: string) => boolean;
  places: Set<string>;
}

async function searchManifest(
  store: ImageStore,
  repository: Repository,
  digest: Digest,
  search: Search,
  signal: AbortSignal,
  top: boolean,
): Promise<Result<void>> {
  const stored = await store.getManifest({ ...repository, digest }, signal);
  if (!stored.ok) return stored;
  searchAnnotations(stored.value.content.annotations, search);
  if (isManifest(stored.value)) return searchImage(store, repository, stored.value.content, search, signal);
  if (!isIndex(stored.value) || !top) return ok(undefined);
  for (const entry of stored.value.content.manifests) {
    searchAnnotations(entry.annotations, search);
    const looked = await searchManifest(store, repository, entry.digest, search, signal, false);
    if (!looked.ok) return looked;
  }
  return ok(undefined);
}

async function searchImage(
  store: ImageStore,
  repository: Repository,
  manifest: Manifest,
  search: Search,
  signal: AbortSignal,
): Promise<Result<void>> {
  for (const { annotations } of [manifest.config, ...manifest.layers]) searchAnnotations(annotations, search);
  const config = await readJson(store, repository, manifest.config, signal);
  if (!config.ok) return config;
  searchData(config.value, [], search, configPlace);
  for (const layer of manifest.layers) {
    // Other statements are lists of packages, and may be too long to be read as a whole.
    if (layer.mediaType !== statementType || !/provenance/.test(layer.annotations?.[predicateType] ?? '')) continue;
    const statement = await readJson(store, repository, layer, signal);
    if (!statement.ok) return statement;
    searchData(statement.value, [], search, (path) => `provenance ${path.slice(0, 3).join('.')}`);
  }
  return ok(undefined);
}

async function readJson(
  store: ImageStore,
  repository: Repository,
  { digest }: Descriptor,
  signal: AbortSignal,
): Promise<Result<unknown>> {
  const bytes = await store.readBlob(repository, digest, signal);
  if (!bytes.ok) return bytes;
  try {
    return ok(JSON.parse(Buffer.from(bytes.value).toString('utf8')));
  } catch {
    const message = `${digest} is not JSON, so nobody can say whether it holds a secret`;
    return fail({ kind: 'verification', message, where: formatReference({ ...repository, digest }) });
  }
}

function searchAnnotations(annotations: Record<string, string> | undefined, { finds, places }: Search): void {
  for (const [name, text] of Object.entries(annotations ?? {})) {
    if (finds(text)) places.add(`annotation ${name}`);
    // The name itself would give the value away.
    if (finds(name)) places.add('annotation');
  }
}

type Step = string | number;

/** Goes through data without recursion: it comes from outside, and may be nested without end. */
function searchData(
  data: unknown,
  start: Step[],
  { finds, places }: Search,
  place: (path: Step[], text: string) => string,
): void {
  const open: { value: unknown; path: Step[] }[] = [{ value: data, path: start }];
  for (let item = open.pop(); item; item = open.pop()) {
    const { value, path } = item;
    if (typeof value === 'string') {
      const where = finds(value) ? place(path, value) : '';
      if (where !== '') places.add(finds(where) ? place(path, '') : where);
    } else if (Array.isArray(value)) {
      for (const [index, one] of value.entries()) open.push({ value: one, path: [...path.slice(0, 8), index] });
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, one] of Object.entries(value)) {
        if (finds(key)) places.add(place(path, ''));
        else open.push({ value: one, path: [...path.slice(0, 8), key] });
      }
    }
  }
}

/** In the words of the image-spec's config.md: what is in `config`, and the numbered `history`. */
function configPlace([top = 'config', ...rest]: Step[], text: string): string {
  const [key, name] = rest;
  if (top === 'history') return `history[${key ?? 0}]${name === undefined ? '' : `.${name}`}`;
  // Docker's own field beside `config`, of the container that the last step ran in, has the same names in it.
  if (key === 'Labels') return name === undefined ? 'label' : `label ${name}`;
  if (key === 'Env') return `${top}.Env ${text.split('=')[0] ?? ''}`.trimEnd();
  return [top, ...(key === undefined ? [] : [key])].join('.');
}
