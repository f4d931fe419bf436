// All tags of a repository, page after page (distribution-spec, "Listing Tags").
import { z } from 'zod';
import { fail, ok, type Result } from '../failure.ts';
import type { Exchange, Transport } from './transport.ts';

const pageSchema = z.looseObject({ tags: z.array(z.string()).nullish() });
/** Bytes. */
const pageLimit = 4 << 20;
/** A registry that has no end of pages, or of tags, is not followed for ever. */
const maxPages = 2000;
const maxTags = 200_000;

export async function listAllTags(
  transport: Transport,
  subject: Pick<Exchange, 'registry' | 'where' | 'scopes'>,
  first: string,
  signal: AbortSignal,
): Promise<Result<string[]>> {
  const tags = new Set<string>();
  const seen = new Set<string>();
  let target: string | URL = first;
  for (let pages = 1; ; pages += 1) {
    const answer = await transport.exchange({ ...subject, method: 'GET', target, expect: [200] }, pageLimit, signal);
    if (!answer.ok) return answer;
    const page = parsePage(answer.value.bytes);
    if (!page) return fail({ kind: 'verification', message: 'the list of tags is malformed', where: subject.where });
    const before = tags.size;
    for (const tag of page) tags.add(tag);
    if (pages > maxPages || tags.size > maxTags) {
      return fail({
        kind: 'verification',
        message: `the list of tags doesn't end: ${tags.size} tags on ${pages} pages`,
        where: subject.where,
        help: 'look at the registry: it may give the same pages again and again',
      });
    }
    const link = answer.value.headers.link;
    const next = nextOf(Array.isArray(link) ? link.join(', ') : link, answer.value.url);
    // A registry that links a page to itself, to nothing new, or to another host, doesn't keep us here or send us there.
    if (
      !next ||
      (page.length > 0 && tags.size === before) ||
      seen.has(next.href) ||
      next.origin !== answer.value.url.origin
    )
      return ok([...tags]);
    seen.add(next.href);
    target = next;
  }
}

/** The `rel="next"` of a Link header (RFC 8288), resolved. */
export function nextOf(header: string | undefined, base: URL): URL | undefined {
  for (const [, target = '', parameters = ''] of (header ?? '').matchAll(/<([^>]*)>([^<]*)/g)) {
    if (/;\s*rel\s*=\s*(?:"[^"]*\bnext\b[^"]*"|next\b)/i.test(parameters) && URL.canParse(target, base.href)) {
      return new URL(target, base);
    }
  }
  return undefined;
}

function parsePage(bytes: Uint8Array): string[] | undefined {
  try {
    const page = pageSchema.safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    return page.success ? (page.data.tags ?? []) : undefined;
  } catch {
    return undefined;
  }
}
