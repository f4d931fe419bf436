// `splitbuild export`: the files that the config's `exports` ask for, or any images as one archive; without an engine.
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { embeddedName, inEmbedded, sourceAnywhere } from '../copy/anywhere.ts';
import { withTag } from '../copy/place.ts';
import type { ImageSource } from '../copy/store.ts';
import { createTurns } from '../copy/turns.ts';
import { configuredExports } from '../export/configured.ts';
import { type ArchiveFormat, compressionBy, type ExportOptions, exportImages } from '../export/export-image.ts';
import type { Wanted } from '../export/read-images.ts';
import { fail, ok, type Result } from '../failure.ts';
import { registryPath } from '../family/family.ts';
import { type Platform, parsePlatforms } from '../image/platform.ts';
import { parseReference, type Reference } from '../image/reference.ts';
import { reachRegistries } from './copy.ts';
import { type FamilyOptions, interruptSignal, loadConfig, printFailure } from './load.ts';

export interface ExportCommand extends FamilyOptions {
  out?: string | undefined;
  folder: string;
  format: string;
  layers: string;
  name: string[];
  plainHttp: string[];
}

interface Written {
  file: string;
  bytes: number;
}

/** Archives at a time: each has several layers on their way. */
const filesAtATime = 2;

export async function exportCommand(images: string[], options: ExportCommand): Promise<number> {
  const signal = interruptSignal();
  const settings = readSettings(options);
  if (!settings.ok) return printFailure(settings.failure);
  const platforms = parsePlatforms(options.platform);
  if (!platforms.ok) return printFailure(platforms.failure);
  const config = await loadConfig(options);
  // Images that are named whole need no config.
  if (!config.ok && (options.out === undefined || config.failure.kind === 'diagnostics')) {
    return printFailure(config.failure);
  }
  const reach = await reachRegistries(options);
  if (!reach.ok) return printFailure(reach.failure);
  const source = sourceAnywhere(reach.value.client, resolve(options.state, 'registry'));
  const request: Request = {
    images,
    platforms: platforms.value,
    config: config.ok ? config.value : undefined,
    options,
    source,
  };
  const done =
    options.out === undefined
      ? await exportConfigured(request, settings.value, signal)
      : await exportNamed(request, options.out, settings.value, signal);
  if (!done.ok) return printFailure(done.failure);
  const said = options.out === '-' ? process.stderr : process.stdout;
  if (options.json) said.write(`${JSON.stringify(done.value, undefined, 2)}\n`);
  else for (const { file, bytes } of done.value) said.write(`${file}  ${(bytes / 1e6).toFixed(1)} MB\n`);
  return 0;
}

interface Request {
  images: string[];
  platforms: Platform[];
  config: Config | undefined;
  options: ExportCommand;
  source: ImageSource;
}

async function exportConfigured(
  { images, platforms, config, options, source }: Request,
  settings: Omit<ExportOptions, 'compression'>,
  signal: AbortSignal,
): Promise<Result<Written[]>> {
  const exported = config?.exports.map(({ image }) => image) ?? [];
  const unknown = images.find((name) => !exported.includes(name));
  if (!config || exported.length === 0 || unknown !== undefined) {
    return fail({
      kind: 'usage',
      message:
        unknown !== undefined && exported.length > 0
          ? `the config's 'exports' say nothing of '${unknown}'; they are of ${exported.join(', ')}`
          : "the config has no 'exports'",
      help: 'to export any image, say where to: splitbuild export IMAGE --out FILE',
    });
  }
  const { registry } = config;
  const host = registry.kind === 'embedded' ? embeddedName : registry.host;
  const turns = createTurns(filesAtATime);
  const written = await Promise.all(
    configuredExports(config, { images, platforms }).map(({ repository, tag, platform, name, file }) =>
      turns.take(async (): Promise<Result<Written>> => {
        const path = resolve(options.folder, file);
        const names = options.name.length > 0 ? options.name : [name];
        const wanted: Wanted = { reference: { registry: host, repository, tag }, platforms: [platform], names };
        const compression = compressionBy(file) ?? 'none';
        const done = await exportImages(source, [wanted], { file: path }, { ...settings, compression }, signal);
        return done.ok ? ok({ file: `${options.folder}/${file}`, bytes: done.value }) : done;
      }, signal),
    ),
  );
  const files: Written[] = [];
  let first: Result<never> | undefined;
  for (const one of written) {
    if (one.ok) files.push(one.value);
    // Each is told of; the last word is the first one's.
    else if (first) printFailure(one.failure);
    else first = one;
  }
  return first ?? ok(files);
}

async function exportNamed(
  { images, platforms, config, options, source }: Request,
  out: string,
  settings: Omit<ExportOptions, 'compression'>,
  signal: AbortSignal,
): Promise<Result<Written[]>> {
  if (images.length === 0) return usage('export --out wants the images to export');
  if (options.name.length > 0 && images.length > 1) return usage('--name is for one image, and here are several');
  const compression = out === '-' ? 'none' : compressionBy(out);
  if (compression === undefined)
    return usage(`the name of ${out} doesn't say how to compress it: .tar, .tar.gz or .tar.zst`);
  const wanted: Wanted[] = [];
  for (const text of images) {
    const reference = await resolveImage(text, config, options.state);
    if (!reference.ok) return reference;
    const names = options.name.length > 0 ? options.name : nameInArchive(reference.value);
    wanted.push({ reference: reference.value, platforms, names });
  }
  if (out === '-') {
    if (process.stdout.isTTY) return usage('an archive is not written to a terminal');
    // A reader that is gone fails the write, which is told of.
    process.stdout.on('error', () => undefined);
  }
  const to = out === '-' ? { stream: process.stdout } : { file: out };
  const done = await exportImages(source, wanted, to, { ...settings, compression }, signal);
  return done.ok ? ok([{ file: out, bytes: done.value }]) : done;
}

/** An image of the config by its name there, or any by its reference. */
async function resolveImage(text: string, config: Config | undefined, state: string): Promise<Result<Reference>> {
  const image = config?.images.find(({ name }) => name === text);
  if (config && image) {
    const { registry } = config;
    return ok({
      registry: registry.kind === 'embedded' ? embeddedName : registry.host,
      repository: registryPath(config, image.repository),
      tag: (image.tags ?? config.tags)[0] ?? 'latest',
    });
  }
  const parsed = parseReference(text);
  if (!parsed.ok) return parsed;
  return ok(await inEmbedded(withTag(parsed.value), resolve(state, 'registry')));
}

/** As engines show it: without Docker Hub's host, and without a name where there is but a digest. */
function nameInArchive({ registry, repository, tag }: Reference): string[] {
  if (tag === undefined) return [];
  if (registry === embeddedName) return [`${repository}:${tag}`];
  return registry === 'docker.io'
    ? [`${repository.replace(/^library\//, '')}:${tag}`]
    : [`${registry}/${repository}:${tag}`];
}

function readSettings({ format, layers, name }: ExportCommand): Result<Omit<ExportOptions, 'compression'>> {
  if (!isFormat(format)) return usage(`--format ${format} is none of docker-archive and oci-archive`);
  if (layers !== 'kept' && layers !== 'unpacked') return usage(`--layers ${layers} is neither kept nor unpacked`);
  for (const each of name) {
    const parsed = parseReference(each);
    if (!parsed.ok) return parsed;
    if (parsed.value.tag === undefined) return usage(`--name ${each} has no tag`);
  }
  return ok({ format, layers });
}

function isFormat(text: string): text is ArchiveFormat {
  return text === 'docker-archive' || text === 'oci-archive';
}

function usage(message: string): Result<never> {
  return fail({
    kind: 'usage',
    message,
    help: 'splitbuild export IMAGE --out FILE.tar.gz, or splitbuild export for the files of the config',
  });
}
