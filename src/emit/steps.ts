// The script steps of jobs: a body of scripts.ts, and the settings that make it one image's.

import type { Config } from '../config/config.ts';
import { token } from '../config/template.ts';
import { archTag } from '../family/family.ts';
import { archSuffix, formatPlatform, type Platform } from '../image/platform.ts';
import type { ScriptStep } from './pipeline.ts';
import * as scripts from './scripts.ts';

const bodies = {
  login: scripts.login,
  build: scripts.build,
  emulated: scripts.emulated,
  group: scripts.group,
  'emulated-group': scripts.emulatedGroup,
  publish: scripts.publishImages,
  mirror: scripts.mirror,
  export: scripts.exportImages,
  save: scripts.saveImages,
  deploy: scripts.deploy,
  'splitbuild-build': scripts.splitbuildBuild,
  'splitbuild-publish': scripts.splitbuildPublish,
};

export type StepKind = keyof typeof bodies;

/** Settings are templates: `${org}` is a parameter of the job, `$$` a dollar. */
export function scriptStep(uses: StepKind, name: string, settings: Record<string, string>): ScriptStep {
  const body = bodies[uses];
  let whole: string | undefined;
  return {
    kind: 'script',
    name,
    parts: { uses, body, settings },
    // Put together when it is first read: a provider that has the bodies apart would keep thousands of copies.
    get script() {
      whole ??= [...Object.entries(settings).map(([variable, value]) => `${variable}=${shellWord(value)}`), body].join(
        '\n',
      );
      return whole;
    },
  };
}

/** A template as a double-quoted word of the shell, in which `${org}` is `$ORG`. */
export function shellWord(template: string): string {
  const quoted = template.replace(/\$\$|\$\{([^{}]*)\}|[\\"$`]/g, (whole, name: string | undefined) => {
    if (name !== undefined) return `\${${variableName(name)}}`;
    return whole === '$$' ? '\\$' : `\\${whole}`;
  });
  return `"${quoted}"`;
}

/** The environment variable of a parameter: `org` is ORG. */
export function variableName(parameter: string): string {
  return parameter.toUpperCase().replace(/[^A-Z0-9_]/g, '_');
}

/** A template of the config with what is known when the pipeline is made; the first tag, which is not, is `{tag}`. */
export function placeholders(template: string, config: Config, platform?: Platform, plain = false): string {
  // Of a job for all platforms, the script knows the one that it is at.
  const suffix = plain ? '' : platform ? archTag('', config.archTagSuffix, platform) : '{arch}';
  const known = new Map<string, string>([
    ['tag', '{tag}'],
    ['archTag', `{tag}${suffix}`],
    ['archSuffix', suffix],
    ['arch', platform ? archSuffix(platform) : '{cpu}'],
    ['platform', platform ? formatPlatform(platform) : '{platform}'],
  ]);
  return template.replace(token, (whole, name: string | undefined) =>
    name === undefined ? whole : (known.get(name) ?? whole),
  );
}

/** The last tag is the final one; those before it, if any, are the build's own. */
export function tagParams(tags: string[]): { build_tag: string; final_tag: string } {
  return { build_tag: tags.slice(0, -1).join(' '), final_tag: tags.at(-1) ?? 'latest' };
}

/** `host[:port]/prefix/` of the config's registry; empty for Docker Hub, which the embedded registry stands for outside this machine. */
export function registryOf({ registry }: Config): string {
  if (registry.kind === 'embedded' || registry.host === 'docker.io') return '';
  return `${registry.host}/${registry.prefix ? `${registry.prefix}/` : ''}`;
}
