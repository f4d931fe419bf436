// From texts with symbols to texts of the config: tags of the run become `${tag}`, parameters become variables.
import { gitNames, laterNames } from '../template.ts';
import type { JobRun } from './job-run.ts';
import { archOf, splitReference } from './references.ts';
import { concrete, replaceSymbols, symbolsOf } from './symbols.ts';

export interface VariableUse {
  name: string;
  /** Image or group that uses it. */
  owner: string;
}

export interface TemplateContext {
  job: JobRun;
  /** Name of the image or group. */
  owner: string;
  /** Tags that are the run's, as they are pushed and without the ending of a leg. */
  tags: { full: string; rest: string; isLeg: boolean }[];
  /** Parameters by which one job makes several images: they have their values. */
  identity: ReadonlySet<string>;
  /** Reference that a script makes. */
  product?: string;
}

export interface Templates {
  /** A text of the config that means this one. */
  toTemplate(text: string, context: TemplateContext): string;
  /** The same for what is no image's: parameters have their values. */
  toText(text: string, params: Readonly<Record<string, string>>): string;
  /** Parameters that are variables now, by name in the config. */
  uses(): VariableUse[];
  /** What only a command knows: variables for which a person must say the value. */
  unknowns(): string[];
  nameOf(param: string): string;
}

/** `gitBranch`: whether the config speaks of the branch that git says, so that no variable may have its name. */
export function createTemplates(gitBranch: boolean): Templates {
  const found = new Map<string, VariableUse>();
  const unknown = new Set<string>();
  const nameOf = (param: string): string => {
    const name = param.replace(/[^\w.-]/g, '_');
    const taken = laterNames.has(name) || name === 'date' || (gitNames.has(name) && (name !== 'branch' || gitBranch));
    return taken ? `${name}_` : name;
  };
  const left = (kind: string, name: string): string | undefined => {
    if (kind === 'env') return `\${env:${name}}`;
    if (kind === 'config') return `\${${name}}`;
    if (kind !== 'output') return undefined;
    unknown.add(nameOf(name));
    return `\${${nameOf(name)}}`;
  };
  return {
    nameOf,
    uses: () => [...found.values()],
    unknowns: () => [...unknown],
    toText: (text, params) =>
      replaceSymbols(concrete(text, params).replaceAll('$', '$$$$'), (kind, name) =>
        left(kind === 'param' ? 'output' : kind, name),
      ),
    toTemplate: (text, { job, owner, tags, identity, product }) => {
      let result = text.replaceAll('$', '$$$$');
      if (product !== undefined && text === splitReference(product).tag && symbolsOf(text).length > 0)
        return '${archTag}';
      // The longest first: `develop-arm64` before `develop`. A tag without a symbol could be any word.
      const known = tags
        .flatMap(({ full, rest, isLeg }) => [
          ...(isLeg ? [{ text: full, by: '${archTag}' }] : []),
          { text: rest, by: '${tag}' },
        ])
        .filter((one) => symbolsOf(one.text).length > 0 || one.by === '${archTag}')
        .sort((a, b) => b.text.length - a.text.length);
      for (const one of known) result = result.replaceAll(one.text, one.by);
      result = replaceSymbols(result, (kind, name) =>
        kind === 'param' && identity.has(name) ? (job.params[name] ?? '') : undefined,
      );
      return replaceSymbols(result, (kind, name) => {
        if (kind !== 'param') return left(kind, name);
        if (name === 'CIRCLE_BRANCH') return '${branch}';
        found.set(`${name}\0${owner}`, { name, owner });
        return `\${${nameOf(name)}}`;
      });
    },
  };
}

/** Texts of several legs as one for all platforms; undefined where they differ by more than the platform's name. */
export function joinLegs(legs: readonly { text: string; platform: string }[]): string | undefined {
  const [first] = legs;
  if (!first) return undefined;
  if (legs.every(({ text }) => text === first.text)) return first.text;
  const general = legs.map(({ text, platform }) => {
    const arch = archOf(platform);
    const names = [arch, ...(arch === 'amd64' ? ['x86_64', 'x64'] : arch === 'arm64' ? ['aarch64', 'arm64v8'] : [])];
    let result = text.replaceAll(platform, '${platform}');
    for (const name of names.slice(0, 1)) {
      result = result.replace(new RegExp(`\\$\\{tag\\}-${name}(?![\\w-])`, 'g'), '${archTag}');
      result = result
        .replace(new RegExp(`-${name}(?![\\w])`, 'g'), '${archSuffix}')
        .replace(new RegExp(`(?<![\\w])${name}(?![\\w])`, 'g'), '${arch}');
    }
    return result;
  });
  return general.every((text) => text === general[0]) ? general[0] : undefined;
}
