// Rules of what a CI pipeline is made from: names of jobs, workflows' own lists, and settings by platform.
import { nearest, suggest } from './nearest.ts';
import { jobName } from './normalise.ts';
import type { Path } from './parse.ts';
import { parsed } from './platform-rules.ts';
import type { Problems } from './problems.ts';
import { asMap, asTexts, entriesOf, textAt } from './tree.ts';

/** Names of jobs differ over images and groups, as a job has one name in all workflows. */
export function checkJobNames(tree: Record<string, unknown>, problems: Problems): void {
  const owners = new Map<string, string>();
  for (const [top, kind] of [
    ['images', 'image'],
    ['groups', 'group'],
  ] as const) {
    for (const [name, owner] of entriesOf(tree[top])) {
      const path: Path = [top, name];
      const given = textAt(owner, 'job', path);
      if (given && problems.isSilenced(given.path)) continue;
      const job = given?.text ?? jobName(name);
      if (!/^[A-Za-z0-9_-]+$/.test(job)) {
        // A default is of this form but for the name '', which is reported where images and groups are.
        if (!given) continue;
        const fixed = jobName(job);
        const rule = 'use letters, digits, _ and -';
        const help = fixed && !job.includes('${') ? `write '${fixed}': ${rule}` : rule;
        problems.error('job-name', given.path, `'${job}' can't name a job`, { help });
        continue;
      }
      const self = `${kind} '${name}'`;
      const other = owners.get(job);
      if (other === undefined) owners.set(job, self);
      else {
        const message = `the CI jobs of ${other} and ${self} are both named '${job}'`;
        const help = `give one of them another, as 'job: ${job}-${kind}'`;
        problems.error('duplicate-job', given?.path ?? path, message, { at: given ? 'value' : 'key', help });
      }
    }
  }
}

/** `jobs` and `assets` of workflows name what there is. */
export function checkWorkflowLists(tree: Record<string, unknown>, problems: Problems): void {
  const jobs = entriesOf(tree.ci).flatMap(([, provider]) => Object.keys(asMap(asMap(provider)?.jobs) ?? {}));
  const assets = Object.keys(asMap(tree.assets) ?? {});
  for (const [name, workflow] of entriesOf(tree.workflows)) {
    const path: Path = ['workflows', name];
    for (const { text, path: place } of asTexts(asMap(workflow)?.jobs, [...path, 'jobs'])) {
      if (jobs.includes(text) || problems.isSilenced(place)) continue;
      const none = `write it under 'jobs' of a provider, as ci.circleci.jobs.${text}`;
      problems.error('unknown-job', place, `no job '${text}' under 'ci'`, { help: suggest(text, jobs, none) });
    }
    for (const { text, path: place } of asTexts(asMap(workflow)?.assets, [...path, 'assets'])) {
      if (assets.includes(text) || problems.isSilenced(place)) continue;
      const help = suggest(text, assets, "there are no 'assets'");
      problems.error('unknown-asset', place, `no asset '${text}' in this config`, { help });
    }
  }
}

/** Where each provider has settings by platform. */
const byMachine = [
  ['circleci', 'resourceClass'],
  ['github', 'runners'],
  ['gitlab', 'tags'],
] as const;
const words = ['default', 'emulated'];

export function checkCi(ci: unknown, problems: Problems): void {
  for (const [provider, setting] of byMachine) {
    const seen = new Map<string, string>();
    for (const [key] of entriesOf(asMap(asMap(ci)?.[provider])?.[setting])) {
      const path: Path = ['ci', provider, setting, key];
      const platform = words.includes(key) ? key : parsed(key);
      const before = platform === undefined ? undefined : seen.get(platform);
      if (platform === undefined) {
        const near = nearest(key, [...words, 'linux/amd64', 'linux/arm64']);
        const help = `${near ? `did you mean '${near}'? ` : ''}Write a platform, as linux/arm64, default or emulated`;
        problems.error('platform', path, `'${key}' is not a platform`, { at: 'key', help });
      } else if (before !== undefined) {
        const message = `'${key}' is there twice, which is the same as '${before}'`;
        problems.error('duplicate-platform', path, message, { at: 'key', help: 'leave one out' });
      } else seen.set(platform, key);
    }
  }
}
