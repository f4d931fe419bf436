// `splitbuild ci generate` and `splitbuild ci check`: the pipeline that does what `splitbuild build` does, written and kept true.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { execa } from 'execa';
import type { Config } from '../config/config.ts';
import { parseConfig } from '../config/parse.ts';
import { readText } from '../config/read-text.ts';
import { checkCircleci } from '../emit/check.ts';
import { chainOf, type Generated, generate, otherChain, type Provider, providers } from '../emit/generate.ts';
import { fail, ok, type Result } from '../failure.ts';
import { formatPlatform } from '../image/platform.ts';
import { parseReference } from '../image/reference.ts';
import { inspectImage } from '../image/verify.ts';
import { formatFailure } from '../report/diagnostic.ts';
import { createClient } from './client.ts';
import { hideSecretsOf, interruptSignal, parseSet, printDiagnostics, printFailure } from './load.ts';

export interface CiOptions {
  config: string;
  set: string[];
  out?: string | undefined;
  chain?: string | undefined;
  mode?: string | undefined;
  steps: string;
  json?: true | undefined;
}

export async function ciGenerate(provider: string, options: CiOptions): Promise<number> {
  const generated = await make(provider, options);
  if (!generated.ok) return printFailure(generated.failure);
  const { files, root, pipeline, config } = generated.value;
  if (options.json) {
    process.stdout.write(`${JSON.stringify(pipeline, undefined, 2)}\n`);
    return 0;
  }
  if (options.out === '-') {
    process.stdout.write(Object.values(files).join('\n'));
    return 0;
  }
  const entries = Object.entries(files);
  if (options.out !== undefined && entries.length > 1) {
    return printFailure({
      kind: 'usage',
      message: `${provider} takes ${entries.length} files, and --out names one`,
      help: 'leave --out away to write them where they belong, or --out - to see them',
    });
  }
  for (const [path, text] of entries) {
    const file = options.out === undefined ? join(root, path) : resolve(options.out);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    process.stderr.write(`${relative(process.cwd(), file) || file}: ${text.split('\n').length - 1} lines\n`);
  }
  for (const workflow of pipeline.workflows) {
    const chain = chainOf(workflow);
    if (chain.length === 0) continue;
    const own = options.chain === 'manifest' ? 'manifest' : config.chain;
    const other = chainOf(otherChain(workflow, own)).length;
    process.stderr.write(
      `${workflow.name}: ${workflow.jobs.length} jobs, longest chain ${chain.length} (${other} with --chain ${own === 'arch' ? 'manifest' : 'arch'}): ${chain.join(' → ')}\n`,
    );
  }
  return 0;
}

/** The committed files against what the config gives, and each of them for itself. */
export async function ciCheck(
  provider: string,
  options: CiOptions & { file?: string | undefined; remote?: true | undefined },
): Promise<number> {
  const generated = await make(provider, options);
  if (!generated.ok) return printFailure(generated.failure);
  const { files, root, config } = generated.value;
  let problems = options.remote ? await missingPlatforms(config) : 0;
  for (const [path, text] of Object.entries(files)) {
    const file = options.file === undefined ? join(root, path) : resolve(options.file);
    const name = relative(process.cwd(), file) || file;
    const committed = await readFile(file, 'utf8').catch(() => undefined);
    if (committed === undefined) {
      process.stderr.write(`error: there is no ${name}\nhelp: splitbuild ci generate ${provider}\n`);
      problems += 1;
      continue;
    }
    const found = provider === 'circleci' ? checkCircleci(committed, name) : [];
    printDiagnostics(found);
    problems += found.length;
    // The first line says with which command it was made, which may name paths in another way.
    if (withoutHeader(committed) !== withoutHeader(text)) {
      process.stdout.write(createTwoFilesPatch(name, `${name} as the config gives it`, committed, text));
      process.stderr.write(`error: ${name} is not what the config gives\nhelp: splitbuild ci generate ${provider}\n`);
      problems += 1;
    }
  }
  if (problems === 0) process.stderr.write(`${Object.keys(files).join(', ')}: as the config gives it.\n`);
  return problems === 0 ? 0 : 1;
}

/** Images of others, asked for at their registries: one that lacks a platform would stop a job, and perhaps a release. */
async function missingPlatforms(config: Config): Promise<number> {
  const reach = createClient(config);
  if (!reach.ok) return Number(printFailure(reach.failure) > 0);
  const wanted = [
    ...Object.entries(config.assets).flatMap(([name, asset]) =>
      asset.images.map(({ image, platforms }) => ({ image, platforms, of: `assets.${name}` })),
    ),
    ...config.images.flatMap(({ name, mirror, platforms }) =>
      mirror === undefined ? [] : [{ image: mirror, platforms, of: `image '${name}'` }],
    ),
  ];
  const signal = interruptSignal();
  const found = await Promise.all(
    wanted.map(async ({ image, platforms, of }): Promise<string[]> => {
      const reference = parseReference(image);
      if (!reference.ok) return [`${of}: '${image}' is not an image reference`];
      const { tag, digest } = reference.value;
      const seen = await inspectImage(
        reach.value.client,
        { ...reference.value, ...(tag || digest ? {} : { tag: 'latest' }) },
        signal,
      );
      if (!seen.ok) return [`${of}: ${formatFailure(seen.failure, { color: false })}`];
      const has = new Set(seen.value.platforms.map(({ platform }) => formatPlatform(platform)));
      const lacking = platforms.map(formatPlatform).filter((platform) => !has.has(platform));
      if (lacking.length === 0) return [];
      return [`${of}: ${image} has no ${lacking.join(', ')}, only ${[...has].join(', ')}; say so with 'platforms'`];
    }),
  );
  for (const line of found.flat()) process.stderr.write(`error: ${line}\n`);
  return found.flat().length;
}

function withoutHeader(text: string): string {
  return text.replace(/^(#.*\n)+/, '');
}

async function make(provider: string, options: CiOptions): Promise<Result<Generated & { root: string }>> {
  const known = providers.find((one) => one === provider);
  const refused = known ? refusedOption(options) : noProvider(provider);
  if (refused || !known) return refused ?? noProvider(provider);
  const text = await readText(options.config, {
    message: `there is no config at ${options.config}`,
    help: 'name it with --config',
  });
  if (!text.ok) return text;
  const parsed = parseConfig(text.value, options.config);
  if (!parsed.ok) return parsed;
  hideSecretsOf(parsed.value);
  const set = parseSet(options.set);
  if (!set.ok) return set;
  const root = await topOf(dirname(resolve(options.config)));
  const generated = await generate({
    provider: known,
    file: options.config,
    text: parsed.value,
    env: process.env,
    set: set.value,
    root,
    ...(options.chain === 'arch' || options.chain === 'manifest' ? { chain: options.chain } : {}),
    ...(options.mode === 'native' || options.mode === 'emulated' ? { mode: options.mode } : {}),
    steps: options.steps === 'splitbuild' ? 'splitbuild' : 'docker',
    header: headerOf(known, options, root),
    now: new Date(),
    signal: interruptSignal(),
  });
  if (!generated.ok) return generated;
  printDiagnostics(generated.value.warnings);
  return ok({ ...generated.value, root });
}

function headerOf(provider: Provider, { config, set, chain, mode, steps }: CiOptions, root: string): string[] {
  const flags = [
    `--config ${relative(root, resolve(config))}`,
    ...set.map((pair) => `--set ${pair}`),
    ...(chain ? [`--chain ${chain}`] : []),
    ...(mode ? [`--mode ${mode}`] : []),
    ...(steps === 'docker' ? [] : [`--steps ${steps}`]),
  ];
  return [
    `Made by: splitbuild ci generate ${provider} ${flags.join(' ')}`,
    'Change the config and make it again; splitbuild ci check says whether this is what the config gives.',
  ];
}

function refusedOption({ chain, mode, steps }: CiOptions): Result<never> | undefined {
  const checks = [
    ['--chain', chain, ['arch', 'manifest']],
    ['--mode', mode, ['native', 'emulated']],
    ['--steps', steps, ['docker', 'splitbuild']],
  ] as const;
  for (const [flag, value, known] of checks) {
    if (value === undefined || known.some((one) => one === value)) continue;
    return fail({ kind: 'usage', message: `${flag} ${value} is unknown`, help: `one of ${known.join(', ')}` });
  }
  return undefined;
}

function noProvider(provider: string): Result<never> {
  return fail({ kind: 'usage', message: `no provider '${provider}'`, help: `one of ${providers.join(', ')}` });
}

/** The top of the git repository that a folder lies in; the folder itself where there is none. */
async function topOf(folder: string): Promise<string> {
  const top = await execa('git', ['rev-parse', '--show-toplevel'], { cwd: folder, reject: false, stdin: 'ignore' });
  return top.failed || top.stdout === '' ? folder : top.stdout;
}
