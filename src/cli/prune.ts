// `splitbuild prune`: clean-up by reachability, of the config's repositories or of any.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { fail, ok, type Result } from '../failure.ts';
import { registryPath } from '../family/family.ts';
import { formatReference, parseReference } from '../image/reference.ts';
import type { Known, Rules } from '../prune/candidates.ts';
import { configTags } from '../prune/config-tags.ts';
import { nothingKnown, readJournals } from '../prune/journals.ts';
import { listUntagged } from '../prune/layout.ts';
import { type Pruned, pruneRepository } from '../prune/prune.ts';
import { type DeletionRecord, openRecord, readPlanned } from '../prune/record.ts';
import type { Repository } from '../registry/client.ts';
import { type Collected, collect } from '../registry/embedded/collect.ts';
import { repositoryFolder } from '../registry/embedded/layout.ts';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../registry/embedded.ts';
import { formatPrune, type PruneReport } from '../report/prune.ts';
import { createClient } from './client.ts';
import { color, interruptSignal, loadConfig, printFailure } from './load.ts';
import { runId } from './open-registry.ts';

export interface PruneOptions {
  config: string;
  set: string[];
  state: string;
  repository: string[];
  olderThan: string;
  keysOlderThan?: string | undefined;
  tags: string[];
  keep: string[];
  keepLast: string;
  yes?: true | undefined;
  dryRun: boolean;
  plainHttp?: true | undefined;
  json?: true | undefined;
}

/** A repository to prune, and the names of the config's tags in it. */
interface Target {
  /** The registry's host; undefined means the embedded one. */
  registry: string | undefined;
  repository: string;
  ofConfig: string[];
}

export async function prune(images: string[], options: PruneOptions): Promise<number> {
  const signal = interruptSignal();
  const rules = readRules(options, Date.now());
  if (!rules.ok) return printFailure(rules.failure);
  const config = await configOf(options);
  if (!config.ok) return printFailure(config.failure);
  const targets = findTargets(images, options, config.value);
  if (!targets.ok) return printFailure(targets.failure);
  const report = await pruneAll(targets.value, rules.value, options, config.value, signal);
  if (!report.ok) return printFailure(report.failure);
  if (options.json) process.stdout.write(`${JSON.stringify(asJson(report.value), undefined, 2)}\n`);
  else process.stdout.write(`${formatPrune(report.value, { color: color(), now: rules.value.now }).join('\n')}\n`);
  const { repositories, dryRun } = report.value;
  const failed = repositories.some(({ done }) => done.some(({ outcome }) => outcome === 'failed'));
  const refused = repositories.some(
    ({ decision, capability }) => !capability.tags && !capability.digests && decision.items.length > 0,
  );
  return failed || (refused && !dryRun) ? 1 : 0;
}

async function pruneAll(
  targets: Target[],
  rules: Omit<Rules, 'ofConfig'>,
  options: PruneOptions,
  config: Config | undefined,
  signal: AbortSignal,
): Promise<Result<PruneReport>> {
  const dryRun = !options.yes && options.dryRun;
  const root = resolve(options.state, 'registry');
  let embedded: EmbeddedRegistry | undefined;
  let record: DeletionRecord | undefined;
  try {
    if (targets.some(({ registry }) => registry === undefined)) {
      const started = await startEmbeddedRegistry({ root, readOnly: dryRun });
      if (!started.ok) return started;
      embedded = started.value;
    }
    if (!dryRun) {
      record = openRecord(resolve(options.state, 'prune'), runId(new Date(rules.now)));
    }
    const journals = await readJournals(resolve(options.state, 'runs'));
    const plannedBefore = await readPlanned(resolve(options.state, 'prune'));
    const client = clientFor(options, config, targets, embedded?.address);
    if (!client.ok) return client;
    const repositories: Pruned[] = [];
    for (const { registry, repository, ofConfig } of targets) {
      const at: Repository = { registry: registry ?? embedded?.address ?? '', repository };
      const known: Known = journals.get(repository) ?? nothingKnown();
      if (registry === undefined) {
        // The folder tells what is there; journals may be of another registry.
        known.listed = await listUntagged(root, repository);
      } else {
        for (const [digest, time] of plannedBefore.get(formatReference(at)) ?? []) known.listed.set(digest, time);
      }
      const pruned = await pruneRepository(
        client.value,
        {
          repository: at,
          rules: { ...rules, ofConfig, archTagSuffix: config?.archTagSuffix ?? rules.archTagSuffix },
          known,
          ...(registry === undefined ? { capability: { tags: true, digests: true } } : {}),
          unlikely: randomBytes(16).toString('hex'),
          ...(record ? { record } : {}),
          now: Date.now,
        },
        signal,
      );
      if (!pruned.ok) return pruned;
      // The port of the embedded registry is another each time, and says nothing.
      repositories.push(registry === undefined ? { ...pruned.value, repository } : pruned.value);
    }
    const written = repositories.some(({ done }) => done.length > 0);
    const report: PruneReport = { dryRun, repositories, ...(record && written ? { record: record.file } : {}) };
    if (!embedded || dryRun) return ok(report);
    // Serving it holds the lock that collecting takes.
    await embedded.close();
    embedded = undefined;
    const collected: Result<Collected> = await collect(root);
    return collected.ok ? ok({ ...report, collected: collected.value }) : collected;
  } finally {
    record?.close();
    await embedded?.close();
  }
}

function clientFor(
  { plainHttp }: PruneOptions,
  config: Config | undefined,
  targets: Target[],
  embedded: string | undefined,
) {
  const flagged = plainHttp ? targets.flatMap(({ registry }) => registry ?? []) : [];
  const plain = [...flagged, ...(embedded === undefined ? [] : [embedded])];
  const reach = createClient(config, plain);
  return reach.ok ? ok(reach.value.client) : reach;
}

/** Undefined where there is none and `--repository` says what is meant; one that is there must be right, as its tags are kept. */
async function configOf(options: PruneOptions): Promise<Result<Config | undefined>> {
  if (options.repository.length > 0 && !existsSync(resolve(options.config))) return ok(undefined);
  return loadConfig(options);
}

function findTargets(images: string[], options: PruneOptions, config: Config | undefined): Result<Target[]> {
  const named = new Set(images);
  const unknown = images.find((name) => !config?.images.some((image) => image.name === name));
  if (unknown !== undefined) {
    return fail({
      kind: 'usage',
      message: `no image '${unknown}' in the family`,
      help: config
        ? `it has: ${config.images.map(({ name }) => name).join(', ')}`
        : 'repositories are named with --repository',
    });
  }
  const ofConfig = new Map<string, { target: Target; wanted: boolean }>();
  const host = config?.registry.kind === 'remote' ? config.registry.host : undefined;
  for (const image of config?.images ?? []) {
    if (!config) break;
    const repository = registryPath(config, image.repository);
    const key = `${host ?? ''}/${repository}`;
    const there = ofConfig.get(key) ?? { target: { registry: host, repository, ofConfig: [] }, wanted: false };
    there.target.ofConfig.push(...configTags(config, image));
    there.wanted ||= named.has(image.name) || (named.size === 0 && options.repository.length === 0);
    ofConfig.set(key, there);
  }
  const targets = new Map([...ofConfig].flatMap(([key, { target, wanted }]) => (wanted ? [[key, target]] : [])));
  for (const text of options.repository) {
    const parsed = parseReference(text);
    if (!parsed.ok) return parsed;
    const { registry, repository, tag, digest } = parsed.value;
    if (tag !== undefined || digest !== undefined) {
      return fail({
        kind: 'usage',
        message: `--repository ${text} names an image, not a repository`,
        help: 'leave tag and digest out; tags are named with --tags',
      });
    }
    // As with inspect: a name that the embedded registry has is that one's.
    const inEmbedded = existsSync(resolve(repositoryFolder(resolve(options.state, 'registry'), text), 'index.json'));
    const target: Target = inEmbedded
      ? { registry: undefined, repository: text, ofConfig: [] }
      : { registry, repository, ofConfig: [] };
    const key = `${target.registry ?? ''}/${target.repository}`;
    targets.set(key, ofConfig.get(key)?.target ?? target);
  }
  return ok([...targets.values()]);
}

function readRules(options: PruneOptions, now: number): Result<Omit<Rules, 'ofConfig'>> {
  const olderThan = parseAge('--older-than', options.olderThan);
  if (!olderThan.ok) return olderThan;
  const keys = options.keysOlderThan === undefined ? undefined : parseAge('--keys-older-than', options.keysOlderThan);
  if (keys && !keys.ok) return keys;
  if (!/^\d+$/.test(options.keepLast)) {
    return fail({
      kind: 'usage',
      message: `--keep-last ${options.keepLast} is not a number`,
      help: 'write --keep-last 5',
    });
  }
  return ok({
    now,
    olderThan: olderThan.value,
    ...(keys ? { keysOlderThan: keys.value } : {}),
    tags: options.tags,
    keep: options.keep,
    keepLast: Number(options.keepLast),
    archTagSuffix: '-${arch}',
  });
}

const units: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `7d`, `12h`, `0`, in ms. */
function parseAge(option: string, text: string): Result<number> {
  const match = /^(\d+)([smhdw]?)$/.exec(text);
  const unit = match?.[2] === '' ? (Number(match[1]) === 0 ? 1 : undefined) : units[match?.[2] ?? ''];
  if (!match || unit === undefined) {
    return fail({
      kind: 'usage',
      message: `${option} ${text} is not an age`,
      help: 'a number and s, m, h, d or w: 12h, 7d, 4w; or 0',
    });
  }
  return ok(Number(match[1]) * unit);
}

function asJson({ dryRun, repositories, record, collected }: PruneReport): object {
  return {
    dryRun,
    repositories: repositories.map(({ repository, capability, decision, done }) => ({
      repository,
      capability,
      items: [
        ...(dryRun ? decision.items : decision.items.filter(({ action }) => action === 'keep')),
        ...done.map(({ item, outcome, because }) => ({
          ...item,
          outcome,
          ...(because === undefined ? {} : { because }),
        })),
      ],
      spared: Object.fromEntries(decision.spared),
      kept: decision.kept,
    })),
    ...(record === undefined ? {} : { record }),
    ...(collected ? { collected } : {}),
  };
}
