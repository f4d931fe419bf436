// `splitbuild join` of one image where nothing is out of the ordinary: images that lie beside their tag in a registry of plain HTTP that wants no
// login and answers at once. It loads next to nothing, so that it is done in about the time that Node takes to start. Joining twice is as
// joining once: whatever fails or is unusual is left to the whole command, from its beginning.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { speaksPlainHttp } from '../config/registries.ts';
import { fail } from '../failure.ts';
import { isBeside, joinImages } from '../image/join-images.ts';
import { parsePlatforms } from '../image/platform.ts';
import { isLoopback } from '../image/reference.ts';
import { createPlainRegistry } from '../registry/plain.ts';
import { formatJoined, readRequest } from './join-request.ts';
import { say } from './say.ts';

/** True where it is done, and said; `args` are those after `join`. */
export async function quickJoin(args: string[], env: NodeJS.ProcessEnv = process.env, print = say): Promise<boolean> {
  const asked = readArgs(args);
  if (!asked || existsSync(asked.values.config)) return false;
  const { values, positionals } = asked;
  const request = readRequest(positionals);
  const wanted = parsePlatforms(values.platform);
  if (!request.ok || !wanted.ok) return false;
  const { target, sources } = request.value;
  const { registry } = target;
  const proxied = !isLoopback(registry) && (env.http_proxy || env.HTTP_PROXY) !== undefined;
  const plain = values['plain-http'] || speaksPlainHttp({}, registry);
  if (!plain || proxied || registry === 'docker.io' || !sources.every((source) => isBeside(source, target)))
    return false;
  const store = createPlainRegistry(registry);
  try {
    const bring = async () => fail({ kind: 'cancelled' });
    const joined = await joinImages(
      store,
      { target, sources, wanted: wanted.value },
      bring,
      new AbortController().signal,
    );
    if (joined.ok) print(formatJoined(request.value, joined.value, values.json));
    return joined.ok;
  } finally {
    store.close();
  }
}

/** Undefined for all that is not of the plain case: other options, `--from`, `--help`, mistakes. */
function readArgs(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: 'string', short: 'c', default: 'splitbuild.yaml' },
        platform: { type: 'string', multiple: true, default: [] },
        'plain-http': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
  } catch {
    return undefined;
  }
}
