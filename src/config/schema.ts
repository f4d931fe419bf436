// What may stand in splitbuild.yaml: the one schema that gives the types and the published JSON Schema.
import { z } from 'zod';

const text = z.string();
const texts = z.array(text);
const mode = z.enum(['native', 'emulated']).describe('native machines, or QEMU emulation');
const scalar = z.union([text, z.number(), z.boolean()]).transform(String);
const shared = {
  dockerfile: text.optional().describe('Dockerfile, relative to the source'),
  context: text.optional().describe('Build context, relative to the source'),
  args: z.record(text, scalar).optional().describe('Build arguments'),
  target: text.optional().describe('Stage to build'),
  mode: mode.optional(),
  platforms: texts.optional().describe('Platforms, as os/arch[/variant]'),
  secrets: texts.optional().describe('Names of secrets given to the build'),
};
const image = z.strictObject({
  ...shared,
  repository: text.describe('Repository, without the registry'),
  source: text.optional().describe('Folder, or git URL#ref[:subdir]'),
  needs: texts.optional().describe('Images that are built before this one'),
  mirror: text.optional().describe('Image to copy instead of building'),
  tags: texts.optional().describe('Tags of this image alone'),
});
const builder = z.strictObject({
  name: text.describe('Unique name'),
  endpoint: text
    .regex(/^(local|unix:\/\/\/.+|ssh:\/\/[^/]+(\/.*)?|tcp:\/\/[^/:]+:\d+|context:\/\/.+)$/, 'not an endpoint')
    .describe('local, unix:///…, ssh://[user@]host[:port][/socket], tcp://host:port or context://name'),
  engine: z.enum(['docker', 'buildah']).default('docker').describe('Engine that answers there'),
  platforms: texts.optional().describe('Platforms that it builds natively'),
  slots: z.number().int().positive().optional().describe('Builds at a time'),
  tls: z
    .strictObject({
      ca: text.optional().describe('CA file'),
      cert: text.optional().describe('Certificate file'),
      key: text.optional().describe('Key file'),
    })
    .optional()
    .describe('TLS files of a tcp endpoint'),
});
const on = z.strictObject({
  branch: text.optional().describe('Branch'),
  tag: text.optional().describe('Pattern of git tags'),
  schedule: text.optional().describe('Cron expression'),
});
const exported = z.strictObject({
  image: text.describe('Image to export'),
  file: text.describe('Name of the file'),
  plain: text.optional().describe('Platform whose file has no suffix'),
});

export const configSchema = z.strictObject({
  version: z.literal(1).describe('Version of this format'),
  family: text.describe('Name of the family'),
  platforms: texts.min(1).describe('Platforms of every image'),
  vars: z.record(text, scalar).optional().describe('Variables, used as ${name}'),
  defaults: z.strictObject(shared).optional().describe('Defaults of every image'),
  images: z.record(text, image).describe('Images by name'),
  groups: z
    .record(
      text,
      z.strictObject({
        images: texts.describe('Images that the script builds'),
        source: text.optional().describe('Source of the script'),
        script: text.describe('Command that builds them'),
      }),
    )
    .optional()
    .describe('Images built together by one script'),
  exports: z.array(exported).optional().describe('Images exported as files'),
  assets: z
    .record(
      text,
      z.strictObject({
        images: texts.describe('Images to save'),
        deploy: z.record(text, text).optional().describe('Where to deploy them'),
      }),
    )
    .optional()
    .describe('Other images deployed as files'),
  workflows: z
    .record(
      text,
      z.strictObject({
        on: on.optional().describe('When it runs'),
        tags: texts.optional().describe('Tags it publishes'),
        disable: texts.optional().describe('Images it leaves out'),
        exports: texts.optional().describe('Images it exports'),
      }),
    )
    .optional()
    .describe('What is built when'),
  builders: z.array(builder).optional().describe('Machines that build'),
  registry: z
    .union([text, z.strictObject({ listen: text.optional().describe('host:port to listen at') })])
    .optional()
    .describe('host[:port][/prefix], or the embedded registry'),
  registries: z
    .record(
      text,
      z.strictObject({
        plainHttp: z.boolean().optional().describe('HTTP without TLS'),
        ca: text.optional().describe('CA file'),
      }),
    )
    .optional()
    .describe('How to reach registries, by host'),
  publish: z.enum(['image', 'family']).default('image').describe('Move tags per image or for the whole family'),
  chain: z.enum(['arch', 'manifest']).default('arch').describe('What a downstream build waits for'),
  mode: mode.optional(),
  archTagSuffix: text.default('-${arch}').describe('Suffix of arch tags'),
  tags: texts.optional().describe('Tags to publish'),
  ci: z.looseObject({}).optional().describe('Settings of CI providers'),
});
/** The file as written, with variables expanded. */
export type Written = z.output<typeof configSchema>;

/** The JSON Schema that editors check splitbuild.yaml with. */
export function jsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: 'input' }) };
}
