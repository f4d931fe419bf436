// The command line. Commands are declared here, the called one alone where one is; each one's code is loaded only when it is called.
import { Command } from '@commander-js/extra-typings';
import packageJson from '../../package.json' with { type: 'json' };
import { collect, exit } from './declare.ts';
import { declareCi } from './declare-ci.ts';

const program = new Command('splitbuild')
  .description(
    'Builds families of container images natively for every platform, in parallel, and joins them into multi-platform images.',
  )
  .version(packageJson.version)
  .showHelpAfterError('(--help shows the options and an example)')
  .configureHelp({ showGlobalOptions: true })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

function family(name: string, description: string) {
  return program
    .command(name)
    .description(description)
    .option('-c, --config <file>', 'the config file', 'splitbuild.yaml')
    .option('--set <name=value>', 'set a variable of the config (repeatable)', collect, [] as string[])
    .option('--workflow <name>', 'the workflow whose tags and images are meant')
    .option('--platform <os/arch>', 'only this platform (repeatable)', collect, [] as string[])
    .option('--state <folder>', 'where journals and the embedded registry lie', '.splitbuild')
    .option('--json', 'print JSON for machines');
}

const declarations: Record<string, () => unknown> = {
  build: () =>
    family('build', 'build, join, verify and publish a family, or some of its images and what they need')
      .argument('[image...]', 'images of the family; all when none is named')
      .option(
        '--builder <name=endpoint>',
        'use these builders instead of the config’s (repeatable)',
        collect,
        [] as string[],
      )
      .option('--no-publish', 'build and push the platforms only; no tag moves')
      .option('--no-cache', 'build everything anew, whatever was built of the same files before')
      .option(
        '--run-id <id>',
        'the run that this is a part of: what others have built under the same id is taken as done',
      )
      .option('--force', 'go on where a tag has moved since the run began; an older run never overwrites a newer one')
      .option('--verbose', 'print every line of every build')
      .addHelpText('after', '\nExample:\n  splitbuild build app --builder here=local --builder arm=ssh://ci@arm-1')
      .action(async (images, options) => exit((await import('./build.ts')).build(images, options))),

  publish: () =>
    family('publish', 'join and publish what was built under a run id, by this or other machines')
      .argument('[image...]', 'images of the family; all when none is named')
      .option('--run-id <id>', 'the run, as given to splitbuild build --no-publish')
      .option('--force', 'go on where a tag has moved since the run began; an older run never overwrites a newer one')
      .option('--verbose', 'print every line')
      .addHelpText('after', '\nExample:\n  splitbuild publish app --run-id $CI_PIPELINE_ID')
      .action(async (images, options) =>
        exit((await import('./build.ts')).publish(images, { ...options, builder: [] })),
      ),

  plan: () =>
    family(
      'plan',
      'show the tasks of a run, what each waits for, what will be built and why, and how it is expected to go; nothing is begun',
    )
      .argument('[image...]', 'images of the family; all when none is named')
      .addHelpText('after', '\nExample:\n  splitbuild plan --platform linux/arm64')
      .action(async (images, options) => exit((await import('./plan.ts')).plan(images, options))),

  simulate: () =>
    family(
      'simulate',
      'what if there were other builders, slots, modes: how long a run would take, and how busy they would be',
    )
      .argument('[image...]', 'images of the family; all when none is named')
      .option(
        '--builder <name=platform[+platform][,slots[,speed]]>',
        'these builders instead of the config’s (repeatable); speed 2 does in half the time what 1 does',
        collect,
        [] as string[],
      )
      .option('--slots <numbers>', 'so many slots on every builder; several, as 2,4,8, are compared')
      .option('--mode <modes>', 'native, emulated, or both with a comma: emulated sets QEMU up on every builder')
      .option('--chain <chains>', 'arch, manifest, or both: what a downstream build waits for')
      .option('--images <number>', 'a made-up family of so many images, instead of a config’s')
      .option('--depth <levels>', 'of a made-up family: images on its longest chain', '5')
      .option('--fan-out <number>', 'of a made-up family: images that are built on one', '3')
      .option('--duration <seconds>', 'of a made-up family: mean time of a build', '60')
      .addHelpText(
        'after',
        '\nExamples:\n  splitbuild simulate --slots 2,4,8\n  splitbuild simulate --builder intel=linux/amd64,8 --builder arm=linux/arm64,4,1.5' +
          '\n  splitbuild simulate --images 10000 --depth 6 --fan-out 4 --slots 16,64',
      )
      .action(async (images, options) => exit((await import('./simulate.ts')).simulate(images, options))),

  graph: () =>
    family('graph', 'show which image is built on which; works on a folder without a config')
      .argument('[folder]', 'a folder of Dockerfiles; the config’s family when not given')
      .option('--format <format>', 'tree, mermaid, dot or json', 'tree')
      .addHelpText('after', '\nExamples:\n  splitbuild graph --format mermaid\n  splitbuild graph images/ --json')
      .action(async (folder, options) => exit((await import('./graph.ts')).graph(folder, options))),

  rollback: () =>
    program
      .command('rollback')
      .description('take tags back to what they pointed at before they were last published, or before a run')
      .argument('[image-or-run...]', 'images of the config, or one run by its id; all images when none is named')
      .option('-c, --config <file>', 'the config file', 'splitbuild.yaml')
      .option('--set <name=value>', 'set a variable of the config (repeatable)', collect, [] as string[])
      .option('--workflow <name>', 'the workflow whose tags are meant')
      .option('--state <folder>', 'where journals and the embedded registry lie', '.splitbuild')
      .option('--dry-run', 'only say what would go back')
      .option('--force', 'take back tags that others have moved since, too')
      .option('--json', 'print JSON for machines')
      .addHelpText(
        'after',
        '\nExamples:\n  splitbuild rollback app --dry-run\n  splitbuild rollback 20261125-061500-1f3a9c',
      )
      .action(async (what, options) => exit((await import('./rollback.ts')).rollback(what, options))),

  inspect: () =>
    program
      .command('inspect')
      .description('show what an image in a registry is made of, platform by platform')
      .argument('<image>', 'a reference: registry.example/team/app:tag')
      .option('-c, --config <file>', 'the config file, for how registries are reached', 'splitbuild.yaml')
      .option('--state <folder>', 'where the embedded registry lies', '.splitbuild')
      .option('--plain-http', 'the registry speaks plain HTTP')
      .option('--json', 'print JSON for machines')
      .addHelpText('after', '\nExample:\n  splitbuild inspect hysds/base:develop')
      .action(async (image, options) => exit((await import('./inspect.ts')).inspect(image, options))),

  verify: () =>
    program
      .command('verify')
      .description('check that an image has each platform exactly once and that nothing of it is missing or wrong')
      .argument('<image>', 'a reference: registry.example/team/app:tag')
      .option(
        '--platform <os/arch>',
        'a platform it must have (repeatable); those of its index when none is named',
        collect,
        [] as string[],
      )
      .option('--parity', 'compare its platforms: packages, files, environment, entry point, labels, sizes')
      .option('--against <image>', 'compare with another release of it instead, platform by platform')
      .option('-c, --config <file>', 'the config file, for how registries are reached', 'splitbuild.yaml')
      .option('--state <folder>', 'where the embedded registry lies', '.splitbuild')
      .option('--plain-http', 'the registry speaks plain HTTP')
      .option('--json', 'print JSON for machines')
      .addHelpText(
        'after',
        '\nExamples:\n  splitbuild verify hysds/base:develop --platform linux/amd64 --platform linux/arm64' +
          '\n  splitbuild verify --parity hysds/base:v6.1 --against hysds/base:v6.0',
      )
      .action(async (image, options) => exit((await import('./inspect.ts')).verify(image, options))),

  export: () =>
    family(
      'export',
      'write images as archives that engines load, straight from the registry: those of the config’s exports, or any',
    )
      .argument('[image...]', 'images of the config’s exports, all when none is named; with --out, any images')
      .option('-o, --out <file>', 'one archive of these images: .tar, .tar.gz or .tar.zst; - for standard output')
      .option('--folder <folder>', 'where the files of the config’s exports go', 'images')
      .option(
        '--format <format>',
        'docker-archive, for docker load, or oci-archive, with all platforms and attestations',
        'docker-archive',
      )
      .option(
        '--layers <kept|unpacked>',
        'layers of a docker-archive: compressed as they are, or as plain tars',
        'kept',
      )
      .option('--name <name:tag>', 'what the image is called in the archive (repeatable)', collect, [] as string[])
      .option('--plain-http <host>', 'a registry that speaks plain HTTP (repeatable)', collect, [] as string[])
      .addHelpText(
        'after',
        '\nExamples:\n  splitbuild export\n  splitbuild export hysds/verdi:develop --platform linux/arm64 -o verdi-arm64.tar.gz' +
          '\n  splitbuild export hysds/verdi:develop --format oci-archive -o verdi.tar',
      )
      .action(async (images, options) => exit((await import('./export.ts')).exportCommand(images, options))),

  join: () =>
    program
      .command('join')
      .description('join images of one platform each, which lie in a registry, into one of several, under a tag')
      .argument('[image...]', 'the tag that it gets, and the images to join')
      .option('--from <file>', 'a line for each image, TAG SRC…, instead; - for standard input')
      .option(
        '--platform <os/arch>',
        'a platform that it must have, and no other (repeatable)',
        collect,
        [] as string[],
      )
      .option('-c, --config <file>', 'the config file, for how registries are reached', 'splitbuild.yaml')
      .option('--plain-http', 'the registries speak plain HTTP')
      .option('--json', 'print JSON for machines')
      .addHelpText(
        'after',
        '\nExample:\n  splitbuild join reg.example/app:1 reg.example/app:1-amd64 reg.example/app:1-arm64',
      )
      .action(async (images, options) => exit((await import('./join.ts')).join(images, options))),

  copy: () =>
    program
      .command('copy')
      .description(
        'copy images between registries, or to and from OCI layouts on disk, with all platforms and attestations',
      )
      .argument('[place...]', 'a source and a destination; or sources and, last, a prefix that ends in /')
      .option('--all-tags', 'every tag of the source’s repository')
      .option('--from-file <file>', 'lines of a source and a destination; - for standard input')
      .option('--referrers', 'signatures and SBOMs that refer to the image as well')
      .option('-c, --config <file>', 'the config file, for how registries are reached', 'splitbuild.yaml')
      .option('--state <folder>', 'where the embedded registry lies', '.splitbuild')
      .option('--plain-http <host>', 'a registry that speaks plain HTTP (repeatable)', collect, [] as string[])
      .option('--json', 'print JSON for machines')
      .addHelpText(
        'after',
        '\nExamples:\n  splitbuild copy docker.io/library/redis:7 registry.example.com/mirror/redis:7' +
          '\n  splitbuild copy hysds/base:develop oci:bundle:develop' +
          '\n  splitbuild copy docker.io/library/redis:7 docker.io/library/logstash:7.13.1 registry.example.com/mirror/',
      )
      .action(async (places, options) => exit((await import('./copy.ts')).copy(places, options))),

  prune: () =>
    program
      .command('prune')
      .description(
        'delete what runs have left in registries, and nothing that a tag still needs; only shows it without --yes',
      )
      .argument('[image...]', 'images of the config; all when neither images nor repositories are named')
      .option('--repository <name>', 'a repository, of the config or any other (repeatable)', collect, [] as string[])
      .option('--older-than <age>', 'only what is older: 12h, 7d, 4w', '7d')
      .option(
        '--tags <glob>',
        'tags that may go, besides those of runs: a name, or with * and ? (repeatable)',
        collect,
        [] as string[],
      )
      .option('--keep <glob>', 'tags that stay (repeatable)', collect, [] as string[])
      .option('--keep-last <number>', 'so many of the newest tags named by --tags, and of the newest runs, stay', '0')
      .option('--keys-older-than <age>', 'build keys that are older may go as well')
      .option('--yes', 'delete')
      .option('--no-dry-run', 'the same as --yes')
      .option('-c, --config <file>', 'the config file', 'splitbuild.yaml')
      .option('--set <name=value>', 'set a variable of the config (repeatable)', collect, [] as string[])
      .option('--state <folder>', 'where journals and the embedded registry lie', '.splitbuild')
      .option('--plain-http', 'the registries of --repository speak plain HTTP')
      .option('--json', 'print JSON for machines')
      .addHelpText('after', "\nExample:\n  splitbuild prune app --tags 'pr-*' --older-than 30d --keep-last 5 --yes")
      .action(async (images, options) => exit((await import('./prune.ts')).prune(images, options))),

  registry: () =>
    program
      .command('registry')
      .description('the embedded registry: OCI image layouts on disk, one a repository')
      .command('serve')
      .description('serve it until interrupted')
      .option('--state <folder>', 'where the embedded registry lies', '.splitbuild')
      .option('--listen <host:port>', 'address to listen on', '127.0.0.1:5000')
      .addHelpText('after', '\nExample:\n  splitbuild registry serve --listen 127.0.0.1:5000')
      .action(async (options) => exit((await import('./registry.ts')).serve(options))),

  ci: () => declareCi(program),

  schema: () =>
    program
      .command('schema')
      .description('print the JSON Schema of splitbuild.yaml, for editors')
      .addHelpText('after', '\nExample:\n  splitbuild schema > splitbuild.schema.json')
      .action(async () => exit((await import('./schema.ts')).schema())),
};

const [, , called = ''] = process.argv;
const declared = Object.hasOwn(declarations, called) ? [called] : Object.keys(declarations);
for (const name of declared) declarations[name]?.();
await program.parseAsync();
