// What may stand in splitbuild.yaml: the one schema that gives the types and the published JSON Schema.
// It checks shapes only; what texts may hold is in rules.ts and the files beside it, which can say what to write instead.
// The patterns are for editors: they go into the JSON Schema, and let anything with a variable pass.
import { z } from 'zod';

const text = z.string();
const texts = z.array(text);
const nonEmpty = texts.min(1);
const mode = z.enum(['native', 'emulated']);
/** YAML reads `3.10` as a number: the reader hands over what stands in the file. */
const scalar = z.union([text, z.number(), z.boolean()]);
const platforms = nonEmpty.meta({ examples: [['linux/amd64', 'linux/arm64']] });
const tags = nonEmpty.meta({ examples: [['develop', 'latest']] });
const args = z.record(text, scalar).meta({ examples: [{ BRANCH: 'develop' }] });

const auditMode = z.enum(['stop', 'warn', 'off']);
const vars = z.record(text, scalar).meta({ examples: [{ branch: 'main' }] });
const job = text.optional().meta({ examples: ['build_base'], pattern: '^([A-Za-z0-9_-]+|.*\\$\\{.*)$' });
const deploy = z
  .strictObject({
    'github-release': text
      .describe('GitHub repository whose release of the git tag gets the files, as owner/repository')
      .meta({ examples: ['acme/base'] }),
  })
  .optional()
  .describe('Where to deploy the files')
  .meta({ examples: [{ 'github-release': 'acme/base' }] });

const shared = {
  dockerfile: text
    .optional()
    .describe(
      "Path of the Dockerfile from the top of the source (not of the context). Default: 'Dockerfile' in the context",
    )
    .meta({ examples: ['docker/Dockerfile'] }),
  context: text
    .optional()
    .describe('Path of the build context from the top of the source. Default: the source itself')
    .meta({ examples: ['docker'] }),
  args: args
    .optional()
    .describe(
      'Build arguments; may use ${tag}, ${arch}, ${archSuffix}, ${archTag} and ${platform}. Those of an image are added to those of the defaults',
    ),
  target: text
    .optional()
    .describe('Stage of the Dockerfile to build. Default: the last one')
    .meta({ examples: ['runtime'] }),
  mode: mode.optional().describe('Build on native machines, or with QEMU emulation'),
  platforms: platforms.optional().describe('Platforms, as os/arch[/variant]'),
  secrets: texts
    .optional()
    .describe('Names of secrets given to the build; their values come from environment variables of the same names')
    .meta({ examples: [['git_oauth_token']] }),
  test: z
    .union([text, z.array(z.union([text, nonEmpty])).min(1)])
    .optional()
    .describe(
      'Commands run (texts by sh -c, lists as they are) in the built image of each platform, on a builder of that platform, before it is published; one that fails holds the image back',
    )
    .meta({ examples: [['app --version', ['/bin/app', 'self-test']]] }),
  audit: z
    .union([
      auditMode,
      z.strictObject({
        mode: auditMode
          .optional()
          .describe('Default: stop')
          .meta({ examples: ['warn'] }),
        allow: texts
          .optional()
          .describe('Files that may be of another machine, as globs of absolute paths')
          .meta({ examples: [['/opt/firmware/**']] }),
      }),
    ])
    .optional()
    .describe(
      'What binaries of another machine in a layer (amd64 ones in an arm64 image) do to the publishing of the image: stop it, warn, or they are not looked for (off). Default: stop',
    )
    .meta({ examples: ['warn', { allow: ['/opt/firmware/**'] }] }),
};
/** What `defaults` may hold, and every image takes from there. */
export const sharedKeys = Object.keys(shared);
const image = z.strictObject({
  ...shared,
  vars: vars
    .optional()
    .describe(
      "Variables of this image alone: they win over those of the chosen workflow and the file's, and may use these",
    ),
  job: job.describe("Its name in the names of CI jobs. Default: the image's name"),
  repository: text
    .describe('Repository that the image is published to, without registry and tag')
    .meta({ examples: ['acme/base'] }),
  source: text
    .optional()
    .describe(
      'Where its files are: a folder, or a git URL#ref[:folder]. Default: the folder of this file. An image that a group builds needs none, nor a Dockerfile',
    )
    .meta({ examples: ['./base', 'https://github.com/acme/base.git#main'] }),
  needs: texts
    .optional()
    .describe('Images of this file that are built before this one, besides those that its Dockerfile names')
    .meta({ examples: [['base']] }),
  mirror: text
    .optional()
    .describe('Image to copy instead of building one')
    .meta({ examples: ['docker.io/library/redis:7'] }),
  tags: tags.optional().describe("Tags of this image, instead of the run's; may use ${tag}"),
});
const builder = z.strictObject({
  name: text.describe('Name of the machine, once in this list').meta({ examples: ['arm'] }),
  endpoint: text
    .describe(
      'local, unix:///path, ssh://[user@]host[:port][/socket], tcp://host:port or context://name; with BuildKit also kube-pod://name and docker-container://name',
    )
    .meta({
      examples: ['ssh://ci@arm-1'],
      pattern:
        '^(local|unix:///.+|ssh://.+|tcp://.+:\\d+|context://.+|(kube-pod|(docker|podman|nerdctl)-container)://.+|.*\\$\\{.*)$',
    }),
  engine: z.enum(['docker', 'buildah', 'buildkit']).default('docker').describe('Engine that answers there'),
  platforms: platforms.optional().describe('Platforms that it builds natively. Default: what its engine reports'),
  slots: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('Builds at a time')
    .meta({ examples: [4] }),
  tls: z
    .strictObject({
      ca: text
        .optional()
        .describe('File of the certificate authority')
        .meta({ examples: ['ca.pem'] }),
      cert: text
        .optional()
        .describe('File of the client certificate')
        .meta({ examples: ['cert.pem'] }),
      key: text
        .optional()
        .describe('File of the client key')
        .meta({ examples: ['key.pem'] }),
    })
    .optional()
    .describe('TLS files of a tcp endpoint')
    .meta({ examples: [{ ca: 'ca.pem', cert: 'cert.pem', key: 'key.pem' }] }),
});
const group = z.strictObject({
  vars: vars
    .optional()
    .describe(
      "Variables of this group alone: they win over those of the chosen workflow and the file's, and may use these",
    ),
  job: job.describe("Its name in the names of CI jobs. Default: the group's name"),
  images: nonEmpty
    .describe('Images that the script builds; they need no Dockerfile and no source of their own')
    .meta({ examples: [['base', 'dev']] }),
  source: text
    .optional()
    .describe('Source of the script: a folder, or a git URL#ref[:folder]. Default: the folder of this file')
    .meta({ examples: ['./scripts'] }),
  script: text
    .describe(
      'Command that builds them for one platform; may use ${tag}, ${arch}, ${archSuffix}, ${archTag} and ${platform}',
    )
    .meta({ examples: ['./build.sh ${archTag}'] }),
});
const plain = text
  .optional()
  .describe('Platform whose file has no -arch in its name')
  .meta({ examples: ['linux/amd64'] });
const exported = z.strictObject({
  image: text.describe('Image to export').meta({ examples: ['base'] }),
  file: text
    .describe('Name of the file; may use ${tag}, ${arch}, ${archSuffix}, ${archTag} and ${platform}')
    .meta({ examples: ['base-${tag}${archSuffix}.tar.gz'] }),
  plain,
  deploy,
});
const asset = z.strictObject({
  images: z
    .array(
      z
        .union([
          text,
          z.strictObject({
            image: text.describe('Reference of the image').meta({ examples: ['docker.io/library/registry:2'] }),
            as: text
              .optional()
              .describe("name:tag that it is saved under. Default: the reference's last component, with its tag")
              .meta({ examples: ['registry:2'] }),
            file: text
              .optional()
              .describe("Name of the file, without -arch and .tar.gz. Default: 'as' with - for :")
              .meta({ examples: ['registry-2'] }),
            platforms: platforms.optional().describe("Platforms that it has. Default: the file's"),
          }),
        ])
        .meta({ examples: ['registry:2'] }),
    )
    .min(1)
    .describe('Images to save: references, or maps where more is to be said')
    .meta({ examples: [['registry:2', { image: 'logstash:7.13.1', platforms: ['linux/amd64'] }]] }),
  plain,
  deploy,
});
const workflow = z.strictObject({
  on: z
    .strictObject({
      branch: text
        .optional()
        .describe('Branch; with a schedule, the one that it runs on')
        .meta({ examples: ['main'] }),
      tag: text
        .optional()
        .describe('Pattern of git tags')
        .meta({ examples: ['v*'] }),
      schedule: text
        .optional()
        .describe('Cron expression')
        .meta({ examples: ['0 4 * * *'] }),
    })
    .optional()
    .describe('When it runs. Default: on every push')
    .meta({ examples: [{ branch: 'main' }] }),
  vars: vars
    .optional()
    .describe(
      "Variables where this workflow is chosen: they win over the file's; may use ${gitTag}, ${branch} and ${commit}",
    ),
  tags: tags
    .optional()
    .describe("Tags that it publishes; may use ${gitTag}, ${branch} and ${commit}. Default: the file's 'tags'"),
  jobs: nonEmpty
    .optional()
    .describe(
      "Other CI jobs that run in it, of those under 'jobs' of a CI provider. A workflow that has 'jobs' and no 'tags' builds no image",
    )
    .meta({ examples: [['test']] }),
  disable: texts
    .optional()
    .describe('Images that it leaves out')
    .meta({ examples: [['docs']] }),
  exports: texts
    .optional()
    .describe("Images that it exports, of those under 'exports'. Default: all of them")
    .meta({ examples: [['base']] }),
  assets: texts
    .optional()
    .describe("Those of 'assets' that it exports and deploys. Default: none")
    .meta({ examples: [['support']] }),
});
const registrySettings = z.strictObject({
  plainHttp: z.boolean().optional().describe('Speak HTTP without TLS'),
  ca: text
    .optional()
    .describe('File of the certificate authority')
    .meta({ examples: ['ca.pem'] }),
});

const providerJobs = z
  .record(text, z.unknown())
  .optional()
  .describe("Other jobs by name, in the provider's own words; copied as they are written");
const ci = z.strictObject({
  circleci: z
    .strictObject({
      image: text
        .optional()
        .describe('Image that the jobs run in')
        .meta({ examples: ['cimg/base:current'] }),
      resourceClass: z
        .record(text, text)
        .optional()
        .describe('Resource classes by platform; default is for any other job, emulated for those that emulate')
        .meta({ examples: [{ 'linux/arm64': 'arm.medium', emulated: 'large' }] }),
      contexts: texts
        .optional()
        .describe('Contexts whose secrets the jobs get')
        .meta({ examples: [['docker-hub']] }),
      deployImage: text
        .optional()
        .describe('Image that deploying jobs run in. Default: that of the others')
        .meta({ examples: ['cibuilds/github:0.13'] }),
      jobs: providerJobs.meta({
        examples: [{ test: { docker: [{ image: 'cimg/base:current' }], steps: ['checkout'] } }],
      }),
    })
    .optional()
    .describe('Settings for CircleCI')
    .meta({ examples: [{ image: 'cimg/base:current' }] }),
  github: z
    .strictObject({
      runners: z
        .record(text, z.union([text, nonEmpty]))
        .optional()
        .describe('Runner labels by platform; default is for any other job, emulated for those that emulate')
        .meta({ examples: [{ 'linux/arm64': 'ubuntu-24.04-arm' }] }),
      jobs: providerJobs.meta({ examples: [{ test: { 'runs-on': 'ubuntu-24.04', steps: [{ run: 'make test' }] } }] }),
    })
    .optional()
    .describe('Settings for GitHub Actions')
    .meta({ examples: [{ runners: { 'linux/arm64': 'ubuntu-24.04-arm' } }] }),
  gitlab: z
    .strictObject({
      image: text
        .optional()
        .describe('Image that the jobs run in')
        .meta({ examples: ['docker:28'] }),
      tags: z
        .record(text, nonEmpty)
        .optional()
        .describe('Runner tags by platform; default is for any other job, emulated for those that emulate')
        .meta({ examples: [{ 'linux/arm64': ['saas-linux-medium-arm64'] }] }),
      jobs: providerJobs.meta({ examples: [{ test: { script: ['make test'] } }] }),
    })
    .optional()
    .describe('Settings for GitLab CI')
    .meta({ examples: [{ tags: { 'linux/arm64': ['saas-linux-medium-arm64'] } }] }),
});

export const configSchema = z.strictObject({
  version: z
    .literal(1)
    .describe('Version of this format: 1')
    .meta({ examples: [1] }),
  family: text
    .min(1)
    .describe('Name of the family')
    .meta({ examples: ['acme'] }),
  platforms: platforms.describe('Platforms of every image that names none of its own, as os/arch[/variant]'),
  vars: vars
    .optional()
    .describe('Variables, used as ${name}; --set name=value overrides them. $${name} is the text ${name}')
    .meta({ examples: [{ org: 'acme' }] }),
  defaults: z
    .strictObject(shared)
    .optional()
    .describe('What every image has that does not say otherwise')
    .meta({ examples: [{ dockerfile: 'docker/Dockerfile' }] }),
  images: z
    .record(text, image.describe('One image').meta({ examples: [{ repository: 'acme/base' }] }))
    .describe('Images by name')
    .meta({ examples: [{ base: { repository: 'acme/base' } }] }),
  groups: z
    .record(
      text,
      group
        .describe('Images built by one script')
        .meta({ examples: [{ images: ['base', 'dev'], script: './build.sh ${archTag}' }] }),
    )
    .optional()
    .describe('Images built together by one script, by name'),
  exports: z
    .array(exported.describe('One image').meta({ examples: [{ image: 'base', file: 'base${archSuffix}.tar.gz' }] }))
    .optional()
    .describe('Images exported as files, one for each platform')
    .meta({ examples: [[{ image: 'base', file: 'base${archSuffix}.tar.gz' }]] }),
  assets: z
    .record(text, asset.describe('Images saved together').meta({ examples: [{ images: ['registry:2'] }] }))
    .optional()
    .describe('Other images deployed as files, by name'),
  workflows: z
    .record(text, workflow.describe('One workflow').meta({ examples: [{ on: { branch: 'main' }, tags: ['latest'] }] }))
    .optional()
    .describe('What is built when, by name; --workflow chooses one'),
  builders: z
    .array(builder.describe('One machine').meta({ examples: [{ name: 'arm', endpoint: 'ssh://ci@arm-1' }] }))
    .optional()
    .describe('Machines that build. Default: the engine of this one')
    .meta({ examples: [[{ name: 'arm', endpoint: 'ssh://ci@arm-1' }]] }),
  registry: z
    .union([
      text,
      z.strictObject({
        listen: text
          .optional()
          .describe('host[:port] that the embedded registry listens at')
          .meta({ examples: ['127.0.0.1:5000'] }),
      }),
    ])
    .optional()
    .describe(
      'Where images are published: host[:port][/prefix], or the settings of the embedded registry (the default)',
    )
    .meta({ examples: ['docker.io', 'ghcr.io/acme', { listen: '127.0.0.1:5000' }] }),
  registries: z
    .record(text, registrySettings.describe('One registry').meta({ examples: [{ plainHttp: true }] }))
    .optional()
    .describe('How to reach registries, by host[:port]'),
  publish: z
    .enum(['image', 'family'])
    .default('image')
    .describe('Move tags when an image is done, or when the whole family is'),
  failedPlatform: z
    .enum(['hold', 'carry'])
    .default('hold')
    .describe(
      "When a platform of an image could not be built: hold the image's tags where they are, or publish with that platform's last good image, annotated as carried",
    ),
  gates: z
    .array(
      z
        .union([
          text,
          z.strictObject({
            name: text.describe('What it is called in messages').meta({ examples: ['scan'] }),
            run: text.describe('Command for sh -c').meta({ examples: ['trivy image $SPLITBUILD_REFERENCE'] }),
          }),
        ])
        .meta({ examples: ['./policy.sh'] }),
    )
    .optional()
    .describe(
      'Commands run here on each staged image before it is published, in the folder of this file, with SPLITBUILD_REFERENCE (by digest), SPLITBUILD_DIGEST, SPLITBUILD_IMAGE, SPLITBUILD_REPOSITORY, SPLITBUILD_TAGS and SPLITBUILD_PLATFORMS (platform=digest, separated by spaces) in their environment; one that fails holds the image back',
    )
    .meta({ examples: [['./policy.sh', { name: 'scan', run: 'trivy image $SPLITBUILD_REFERENCE' }]] }),
  chain: z
    .enum(['arch', 'manifest'])
    .default('arch')
    .describe('What a downstream build waits for: the build of its own platform, or the joined image'),
  mode: mode.optional().describe('Build on native machines, or with QEMU emulation. Default: native'),
  archTagSuffix: text
    .default('-${arch}')
    .describe('What is added to a tag for the image of one platform')
    .meta({ examples: ['-${arch}'] }),
  tags: tags.optional().describe('Tags to publish, where no workflow is chosen. Default: latest'),
  costs: z
    .record(
      text,
      z
        .number()
        .nonnegative()
        .describe('Per minute')
        .meta({ examples: [10] }),
    )
    .optional()
    .describe(
      "What a minute of a CI machine costs, by resource class or runner label, in any one unit (credits, dollars): for 'splitbuild plan' and 'splitbuild simulate'",
    )
    .meta({ examples: [{ medium: 10, 'arm.medium': 13 }] }),
  ci: ci
    .optional()
    .describe('Settings of CI providers; taken as written, without variables')
    .meta({ examples: [{ circleci: { image: 'cimg/base:current' } }] }),
});
/** The file as written, with variables expanded. */
export type Written = z.output<typeof configSchema>;

/** The JSON Schema that editors check splitbuild.yaml with. */
export function jsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: 'input' }) };
}
