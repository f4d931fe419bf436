// `splitbuild inspect` and `splitbuild verify`: look at any image in any registry, the embedded one included.
import { resolve } from 'node:path';
import { inEmbedded, sourceAnywhere } from '../copy/anywhere.ts';
import type { ImageSource } from '../copy/store.ts';
import { ok, type Result } from '../failure.ts';
import { formatPlatform, parsePlatforms } from '../image/platform.ts';
import { parseReference, type Reference } from '../image/reference.ts';
import { inspectImage, verifyIndex } from '../image/verify.ts';
import type { RegistryClient } from '../registry/client.ts';
import { createClient } from './client.ts';
import { interruptSignal, loadConfig, printFailure } from './load.ts';

interface ImageOptions {
  config: string;
  state: string;
  plainHttp?: true | undefined;
  json?: true | undefined;
}

export async function inspect(image: string, options: ImageOptions): Promise<number> {
  return withImage(image, options, async (source, reference, signal) => {
    const seen = await inspectImage(source, reference, signal);
    if (!seen.ok) return printFailure(seen.failure);
    if (options.json) {
      process.stdout.write(`${JSON.stringify(seen.value, undefined, 2)}\n`);
      return 0;
    }
    process.stdout.write(`${image}\n  ${seen.value.mediaType}\n  ${seen.value.digest}\n`);
    for (const one of seen.value.platforms) {
      process.stdout.write(
        `${formatPlatform(one.platform).padEnd(16)} ${one.digest}  ${megabytes(one.size)} in ${one.layers.length} layers\n`,
      );
    }
    return 0;
  });
}

interface VerifyOptions extends ImageOptions {
  platform: string[];
  parity?: true | undefined;
  against?: string | undefined;
}

export async function verify(image: string, options: VerifyOptions): Promise<number> {
  const parsed = parsePlatforms(options.platform);
  if (!parsed.ok) return printFailure(parsed.failure);
  const asked = parsed.value;
  return withImage(image, options, async (source, reference, signal) => {
    let platforms = asked;
    if (platforms.length === 0) {
      const seen = await inspectImage(source, reference, signal);
      if (!seen.ok) return printFailure(seen.failure);
      platforms = seen.value.platforms.map((one) => one.platform);
    }
    const report = await verifyIndex(source, reference, platforms, signal);
    if (!report.ok) return printFailure(report.failure);
    const { against } = options;
    if (options.parity || against !== undefined) {
      const { parity } = await import('./parity.ts');
      const now = { store: source, reference };
      const what = { image, against, json: options.json };
      if (against === undefined) return parity(now, undefined, asked, what, signal);
      return withImage(against, options, (store, other) =>
        parity(now, { store, reference: other }, asked, what, signal),
      );
    }
    if (options.json) process.stdout.write(`${JSON.stringify(report.value, undefined, 2)}\n`);
    else process.stdout.write(`${image} is whole: ${platforms.map(formatPlatform).join(', ')}.\n`);
    return 0;
  });
}

/** A reference without a host means the embedded registry where it has that repository, and Docker Hub otherwise. */
async function withImage(
  image: string,
  options: ImageOptions,
  use: (source: ImageSource, reference: Reference, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const signal = interruptSignal();
  const parsed = parseReference(image);
  if (!parsed.ok) return printFailure(parsed.failure);
  const reference = { ...parsed.value, ...(parsed.value.tag || parsed.value.digest ? {} : { tag: 'latest' }) };
  const client = await clientFor(reference, options);
  if (!client.ok) return printFailure(client.failure);
  const root = resolve(options.state, 'registry');
  return use(sourceAnywhere(client.value, root), await inEmbedded(reference, root), signal);
}

/** How the registry is reached: by the flag, or by the config where there is one; it need not be whole to look at an image. */
async function clientFor(reference: Reference, options: ImageOptions): Promise<Result<RegistryClient>> {
  const config = await loadConfig({ ...options, set: [] });
  const reach = createClient(config.ok ? config.value : undefined, options.plainHttp ? [reference.registry] : []);
  return reach.ok ? ok(reach.value.client) : reach;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
