// `splitbuild join`: images of one platform each become one of several, for pipelines that build and push by other means. What is not
// needed for the plain case is loaded when it is.
import { existsSync } from 'node:fs';
import { exitCode, type Failure, fail, ok, type Result } from '../failure.ts';
import { joinImages } from '../image/join-images.ts';
import { parsePlatforms } from '../image/platform.ts';
import type { Reference } from '../image/reference.ts';
import type { RegistryClient } from '../registry/client.ts';
import { createClient } from './client.ts';
import { interruptSignal } from './interrupt.ts';
import { formatJoined, type JoinRequest, readRequest, usage } from './join-request.ts';

export interface JoinOptions {
  config: string;
  from?: string | undefined;
  platform: string[];
  plainHttp?: true | undefined;
  json?: true | undefined;
}

/** Images that are being joined at a time; their requests take turns (registry/rate.ts). */
const atATime = 32;

/** `images`: TAG SRC…, or none with --from. */
export async function join(images: string[], options: JoinOptions): Promise<number> {
  const signal = interruptSignal();
  const platforms = parsePlatforms(options.platform);
  if (!platforms.ok) return failed(platforms.failure);
  const wanted = platforms.value;
  const requests = await readRequests(images, options.from);
  if (!requests.ok) return failed(requests.failure);
  const client = await clientFor(options, requests.value);
  if (!client.ok) return failed(client.failure);
  const store = client.value;
  const bring = async (from: Reference, to: Reference): Promise<Result<unknown>> => {
    const { createCopier } = await import('../copy/copier.ts');
    return createCopier(store, store).copy(from, to, {}, signal);
  };
  const waiting = requests.value.values();
  let worst = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (const request of waiting) {
      const joined = await joinImages(store, { ...request, wanted }, bring, signal);
      if (joined.ok) {
        done += 1;
        process.stdout.write(formatJoined(request, joined.value, options.json ?? false));
      } else worst = Math.max(worst, await failed(joined.failure));
      if (signal.aborted) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atATime, requests.value.length) }, work));
  if (requests.value.length > 1 && !options.json) {
    const rest = requests.value.length - done;
    process.stderr.write(`${done} images joined${rest > 0 ? `, ${rest} not` : ''}.\n`);
  }
  return worst;
}

async function readRequests(images: string[], from: string | undefined): Promise<Result<JoinRequest[]>> {
  if (from !== undefined && images.length > 0) return usage('both --from and images are given');
  if (from === undefined) {
    const request = readRequest(images);
    return request.ok ? ok([request.value]) : request;
  }
  const text = await readList(from);
  if (!text.ok) return text;
  const requests: JoinRequest[] = [];
  for (const [at, line] of text.value.split('\n').entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]?.startsWith('#')) continue;
    const request = readRequest(words);
    if (!request.ok) {
      return request.failure.kind === 'usage'
        ? fail({ ...request.failure, where: `${from === '-' ? 'standard input' : from}:${at + 1}` })
        : request;
    }
    requests.push(request.value);
  }
  return requests.length === 0 ? usage(`${from} names no image`) : ok(requests);
}

async function readList(from: string): Promise<Result<string>> {
  if (from === '-') {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
    return ok(Buffer.concat(chunks).toString('utf8'));
  }
  const { readText } = await import('../config/read-text.ts');
  return readText(from, { message: `there is no list at ${from}`, help: 'a line each: TAG SRC…' });
}

/** How registries are reached: by the flag, and by the config where there is one. */
async function clientFor(options: JoinOptions, requests: JoinRequest[]): Promise<Result<RegistryClient>> {
  const config = existsSync(options.config)
    ? await (await import('./load.ts')).loadConfig({ config: options.config, set: [] })
    : undefined;
  const hosts = new Set(
    requests.flatMap(({ target, sources }) => [target, ...sources].map(({ registry }) => registry)),
  );
  const reach = createClient(config?.ok ? config.value : undefined, options.plainHttp ? hosts : []);
  return reach.ok ? ok(reach.value.client) : reach;
}

async function failed(failure: Failure): Promise<number> {
  const { printFailure } = await import('./load.ts');
  printFailure(failure);
  return exitCode(failure);
}
