// Lists: a repository's tags, and what refers to a manifest (distribution-spec, "Listing Tags", "Listing Referrers").
import { mediaTypes } from '../../image/oci.ts';
import { type Answer, type Call, json, refuse } from './answer.ts';
import { isDigest, type Repository, tagOf } from './layout.ts';

export async function tagsRoute(call: Call, repository: Repository): Promise<Answer> {
  const entries = await repository.entries();
  if (!entries) return refuse(404, 'NAME_UNKNOWN', `there is no repository ${call.name}`);
  const asked = call.query.get('n');
  if (asked !== null && !/^\d+$/.test(asked)) return refuse(400, 'UNSUPPORTED', `n=${asked} is not a number`);
  const last = call.query.get('last') ?? '';
  // "Lexical" order is that of bytes, and tags are ASCII: no locale.
  const all = entries.flatMap((entry) => tagOf(entry) ?? []).toSorted((a, b) => (a < b ? -1 : 1));
  const after = all.filter((tag) => tag > last);
  const tags = asked === null ? after : after.slice(0, Number(asked));
  const end = tags.at(-1);
  const more = end !== undefined && tags.length < after.length;
  const link = `</v2/${call.name}/tags/list?${new URLSearchParams({ n: asked ?? '', last: end ?? '' })}>; rel="next"`;
  return json({ name: call.name, tags }, more ? { link } : {});
}

export async function referrersRoute(call: Call, repository: Repository): Promise<Answer> {
  if (!isDigest(call.reference)) return refuse(400, 'DIGEST_INVALID', `'${call.reference}' is not a digest`);
  const wanted = call.query.get('artifactType');
  const entries = (await repository.entries()) ?? [];
  const unique = new Map(entries.map((entry) => [entry.digest, entry]));
  const manifests = [];
  for (const { mediaType, digest, size } of unique.values()) {
    const { subject, artifactType, annotations } = await repository.describe(digest);
    if (subject !== call.reference || (wanted !== null && artifactType !== wanted)) continue;
    manifests.push({ mediaType, digest, size, artifactType, annotations });
  }
  return json(
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
    { 'content-type': mediaTypes.ociIndex, ...(wanted === null ? {} : { 'oci-filters-applied': 'artifactType' }) },
  );
}
