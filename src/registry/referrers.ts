// What refers to a manifest (signatures, SBOMs): the referrers API of distribution-spec 1.1, and where a registry lacks it, the
// tag that clients keep the list under instead ("Referrers Tag Schema").
import { z } from 'zod';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { type Descriptor, type Digest, descriptorSchema } from '../image/oci.ts';
import { nextOf } from './tags.ts';
import { type Exchange, headerOf, type Transport } from './transport.ts';

const pageSchema = z.looseObject({ manifests: z.array(descriptorSchema).nullish() });
/** Bytes. */
const pageLimit = 4 << 20;
/** A registry that has no end of pages is not followed for ever. */
const maxPages = 500;

/**
 * `sha256-<hex>`: the tag that holds the list where there is no API. The spec cuts a longer hash off at 64 characters, as a
 * tag has 128 at most. Cosign's tags are this and an ending.
 */
export function referrersTag(digest: Digest): string {
  const [algorithm = '', hash = ''] = digest.split(':');
  return `${algorithm.slice(0, 32)}-${hash.slice(0, 64)}`;
}

/**
 * The list by the API, or else what `readTag` finds under the fallback tag. The API of some registries is there and always
 * empty, whatever clients have put under the tag: an empty list isn't believed. Descriptors carry `artifactType`, for
 * whoever looks for one kind; the registry's own filter is not used, as it is optional.
 */
export async function listAllReferrers(
  transport: Transport,
  subject: Pick<Exchange, 'registry' | 'where' | 'scopes'>,
  first: string,
  readTag: () => Promise<Result<Descriptor[]>>,
  signal: AbortSignal,
): Promise<Result<Descriptor[]>> {
  const found = new Map<Digest, Descriptor>();
  const seen = new Set<string>();
  let target: string | URL = first;
  for (let pages = 1; ; pages += 1) {
    const answer = await transport.exchange(
      // 404 is what the spec says of a registry without the API; the others are what older ones and proxies say.
      { ...subject, method: 'GET', target, expect: [200, 400, 404, 405, 406, 501] },
      pageLimit,
      signal,
    );
    if (!answer.ok) return answer;
    const page = answer.value.status === 200 ? parsePage(answer.value.bytes) : undefined;
    if (!page) {
      // Half a list would pass for a whole one.
      if (pages > 1) return fail(broken(subject.where, 'a later page of it is malformed'));
      return readTag();
    }
    for (const descriptor of page) found.set(descriptor.digest, descriptor);
    const next = nextOf(headerOf(answer.value, 'link'), answer.value.url);
    if (!next || seen.has(next.href) || next.origin !== answer.value.url.origin) break;
    if (pages === maxPages) return fail(broken(subject.where, `it has no end after ${pages} pages`));
    seen.add(next.href);
    target = next;
  }
  return found.size > 0 ? ok([...found.values()]) : readTag();
}

function broken(where: string, how: string): Failure {
  return {
    kind: 'verification',
    message: `the list of referrers can't be read whole: ${how}`,
    where,
    help: 'try again; if it stays so, the registry’s referrers API is broken',
  };
}

function parsePage(bytes: Uint8Array): Descriptor[] | undefined {
  try {
    const page = pageSchema.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    // A JSON error with status 200 is an answer of a registry that doesn't know the call.
    return page.success && page.data.manifests !== undefined ? (page.data.manifests ?? []) : undefined;
  } catch {
    return undefined;
  }
}
