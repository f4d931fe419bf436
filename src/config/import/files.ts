// Images that are saved as files: exports of the family's own, assets of others, and the releases that they go to.
import { posix } from 'node:path';
import { assetNames } from '../normalise.ts';
import type { DraftAsset, DraftExport, Note } from './draft.ts';
import { closureOf } from './edges.ts';
import type { Made } from './images.ts';
import type { Save } from './job-run.ts';
import { platformOfReference, type Started } from './pieces.ts';
import { splitArch, splitReference } from './references.ts';
import { concrete, readable, symbolsOf } from './symbols.ts';
import type { Templates } from './templates.ts';

export interface Files {
  exports: DraftExport[];
  assets: DraftAsset[];
  /** Names of images and of assets that a run saves, by the run's name. */
  byRun: Map<string, { exports: Set<string>; assets: Set<string> }>;
  notes: Note[];
}

interface Found {
  started: Started;
  save: Save;
  platform: string;
  /** Without the platform's name, and without `.tar.gz`. */
  stem: string;
  hasArch: boolean;
  packs: boolean;
}

export function filesOf(all: readonly Started[], images: readonly Made[], templates: Templates): Files {
  const files: Files = { exports: [], assets: [], byRun: new Map(), notes: [] };
  const exported = new Map<string, Found[]>();
  const assets = new Map<string, Found[]>();
  for (const started of all) {
    for (const save of started.job.saves) {
      const found = read(started, save);
      const image = ownImage(found, images);
      const name = image?.image.name ?? assetName(started.job.job);
      const map = image ? exported : assets;
      map.set(name, [...(map.get(name) ?? []), found]);
      if (!started.run) continue;
      const ofRun = files.byRun.get(started.run.name) ?? { exports: new Set(), assets: new Set() };
      (image ? ofRun.exports : ofRun.assets).add(name);
      files.byRun.set(started.run.name, ofRun);
    }
  }
  for (const [name, list] of exported) {
    const image = images.find((one) => one.image.name === name);
    if (image) files.exports.push(toExport(image, list, templates));
  }
  for (const [name, list] of assets) files.assets.push(toAsset(name, list));
  deploy(all, exported, assets, files, templates);
  return files;
}

function read(started: Started, save: Save): Found {
  const { job } = started;
  const base = posix.basename(save.file);
  const packs = /\.t?gz$/.test(base);
  const name = base.replace(/\.(tar\.gz|tgz|tar|gz)$/, '');
  const arch = splitArch(name);
  const isArch = arch !== undefined && arch.ending !== '';
  const platform =
    save.platform ??
    platformOfReference(concrete(save.reference, job.params)) ??
    (isArch ? arch.platform : undefined) ??
    job.platform;
  return { started, save, platform, stem: isArch ? arch.rest : name, hasArch: isArch, packs };
}

/** The image that a run makes under the very tag that is saved. */
function ownImage({ started, save }: Found, images: readonly Made[]): Made | undefined {
  const { params } = started.job;
  const { repository, tag = 'latest' } = splitReference(concrete(save.source, params));
  const rest = splitArch(tag)?.rest ?? tag;
  return images.find(
    ({ key, pieces }) =>
      (key === repository || key === splitArch(repository)?.rest) &&
      pieces.some((piece) => piece.run === started.run && [rest, tag].includes(concrete(piece.tag, piece.job.params))),
  );
}

function toExport({ image, pieces }: Made, list: Found[], templates: Templates): DraftExport {
  const suffixed = list.some(({ hasArch }) => hasArch);
  const platforms = [...new Set(list.map(({ platform }) => platform))];
  const [first] = list;
  const plain = list.find(({ hasArch }) => !hasArch)?.platform;
  const tags = pieces.map((piece) => ({ full: piece.fullTag, rest: piece.tag, isLeg: false }));
  const stem = first
    ? templates.toTemplate(first.stem, {
        job: first.started.job,
        owner: image.name,
        tags,
        identity: new Set(Object.keys(first.started.job.params)),
      })
    : image.name;
  const several = image.platforms.length > 1;
  const file = `${stem}${suffixed || several ? '${archSuffix}' : ''}.tar${list.every(({ packs }) => packs) ? '.gz' : ''}`;
  const result: DraftExport = { image: image.name, file, notes: [] };
  if (plain !== undefined && (suffixed || several)) result.plain = plain;
  const missing = image.platforms.filter((platform) => !platforms.includes(platform));
  if (missing.length > 0 && first)
    result.notes.push({ line: first.save.line, text: `saved for ${platforms.join(', ')} only` });
  return result;
}

/** `support` of `export-support-assets-amd64`. */
function assetName(job: string): string {
  const base = splitArch(job)?.rest ?? job;
  const short = base.replace(/^(export|save|deploy|build)[-_]/, '').replace(/[-_](assets|images)$/, '');
  return short.replace(/[^A-Za-z0-9_-]/g, '-');
}

function toAsset(name: string, list: Found[]): DraftAsset {
  const asset: DraftAsset = { name, images: [], notes: [] };
  const plain = new Set(list.filter(({ hasArch }) => !hasArch).map(({ platform }) => platform));
  for (const { save, started, stem } of list) {
    const source = concrete(save.source, started.job.params);
    if (asset.images.some(({ image }) => image === source)) continue;
    const platforms = [
      ...new Set(
        list
          .filter((other) => concrete(other.save.source, other.started.job.params) === source)
          .map((one) => one.platform),
      ),
    ];
    const as = concrete(save.reference, started.job.params);
    const usual = assetNames({ image: source });
    const item: DraftAsset['images'][number] = { image: source, platforms };
    if (as !== usual.as) item.as = as;
    const file = concrete(stem, started.job.params);
    if (file !== assetNames({ image: source, as }).file) item.file = file;
    asset.images.push(item);
  }
  if (list.some(({ hasArch }) => hasArch) && plain.size === 1) asset.plain = [...plain].join();
  else if (plain.size === 1 && asset.images.every(({ platforms }) => platforms?.length === 1))
    asset.plain = [...plain].join();
  return asset;
}

/** Which release gets which file: by the file's name, or by the jobs before where all files of a folder go. */
function deploy(
  all: readonly Started[],
  exported: Map<string, Found[]>,
  assets: Map<string, Found[]>,
  files: Files,
  templates: Templates,
): void {
  const given = new Map<DraftExport | DraftAsset, { to: string; line: number }[]>();
  for (const started of all) {
    const before = closureOf(started, all);
    for (const upload of started.job.uploads) {
      const to = templates.toText(upload.repository, started.job.params);
      for (const file of upload.files) {
        const wanted = posix.basename(concrete(file, started.job.params));
        const isAny = /[*]/.test(wanted) || symbolsOf(wanted).some(({ kind }) => kind === 'output');
        const matches = (found: Found): boolean =>
          found.started.run === started.run &&
          (isAny
            ? before.includes(found.started)
            : posix.basename(concrete(found.save.file, found.started.job.params)) === wanted);
        let used = false;
        for (const [name, list] of [...exported, ...assets]) {
          const target = exported.has(name)
            ? files.exports.find(({ image }) => image === name)
            : files.assets.find((asset) => asset.name === name);
          if (!target || !list.some(matches)) continue;
          used = true;
          given.set(target, [...(given.get(target) ?? []), { to, line: upload.line }]);
        }
        if (!used) files.notes.push({ line: upload.line, text: `gh release upload ${readable(wanted)} -R ${to}` });
      }
    }
  }
  for (const [target, places] of given) {
    const counts = new Map<string, number>();
    for (const { to } of places) counts.set(to, (counts.get(to) ?? 0) + 1);
    // One release is all that a config has for a file: the one that most runs use.
    const [best] = [...counts].sort((a, b) => b[1] - a[1]);
    if (!best) continue;
    target.deploy = best[0];
    for (const { to, line } of places) {
      const text = `also to the release of ${to}`;
      if (to !== best[0] && !target.notes.some((note) => note.text === text)) target.notes.push({ line, text });
    }
  }
}
