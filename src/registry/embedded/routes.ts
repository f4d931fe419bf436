// Which route a path belongs to. A repository's name may itself contain `blobs` or `manifests`: the last one counts.
import { type Answer, type Call, json, refuse } from './answer.ts';
import { blobRoute } from './blobs.ts';
import { isRepositoryName, type Repository } from './layout.ts';
import { referrersRoute, tagsRoute } from './lists.ts';
import { manifestRoute } from './manifests.ts';
import type { Uploads } from './uploads.ts';

export interface Served {
  openRepository(name: string): Repository;
  /** Absent where nothing may be written. */
  uploads?: Uploads;
}

const endings: [RegExp, (call: Call, repository: Repository, served: Served) => Promise<Answer>][] = [
  [
    /^(.+)\/blobs\/uploads(?:\/([^/]*))?$/,
    async (call, repository, { uploads }) => (uploads ? uploads.route(call, repository) : readOnly()),
  ],
  [/^(.+)\/blobs\/([^/]+)$/, blobRoute],
  [/^(.+)\/manifests\/([^/]+)$/, manifestRoute],
  [/^(.+)\/referrers\/([^/]+)$/, referrersRoute],
  [/^(.+)\/tags\/list$/, tagsRoute],
];

export async function answerCall(
  request: Omit<Call, 'name' | 'reference'>,
  path: string,
  served: Served,
): Promise<Answer> {
  if (path === '/v2/' || path === '/v2') return json({});
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (!served.uploads && !reads) return readOnly();
  const rest = path.startsWith('/v2/') ? path.slice('/v2/'.length) : '';
  for (const [ending, route] of endings) {
    const match = ending.exec(rest);
    if (!match) continue;
    const [, name = '', reference = ''] = match;
    if (!isRepositoryName(name)) return refuse(400, 'NAME_INVALID', `'${name}' is not a repository's name`);
    return route({ ...request, name, reference }, served.openRepository(name), served);
  }
  return refuse(404, 'UNSUPPORTED', `there is nothing at ${path}`);
}

function readOnly(): Answer {
  return refuse(405, 'UNSUPPORTED', 'this registry is open for reading only');
}
