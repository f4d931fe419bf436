// Rules of files that leave the family: exports of its images, assets of others, and where both are deployed.
import { parseReference } from '../image/reference.ts';
import { checkReference, platformsOf } from './image-rules.ts';
import { assetNames } from './normalise.ts';
import type { Path } from './parse.ts';
import { checkPlatforms, parsed } from './platform-rules.ts';
import type { Problems } from './problems.ts';
import { asList, asMap, asText, asTexts, entriesOf, type Item, textAt } from './tree.ts';

/** `refers` reports an image that is not there. */
export function checkExports(
  tree: Record<string, unknown>,
  refers: (image: Item) => boolean,
  problems: Problems,
): void {
  for (const [index, entry] of (asList(tree.exports) ?? []).entries()) {
    const path: Path = ['exports', index];
    const image = textAt(entry, 'image', path);
    const known = image && refers(image);
    const file = textAt(entry, 'file', path);
    if (known && file && platformsOf(tree, image.text).length > 1 && !/\$\{(arch\w*|platform)\}/.test(file.text)) {
      const message = `'file' names one file for all platforms of image '${image.text}'`;
      problems.error('export-file', file.path, message, {
        help: "put ${archSuffix} into the name: it is '-arm64' for arm64",
      });
    }
    checkDeploy(entry, path, problems);
    const plain = textAt(entry, 'plain', path);
    if (!plain || !checkPlatforms([plain.text], plain.path, problems, true) || !image || !known) continue;
    checkPlain(plain, platformsOf(tree, image.text), `image '${image.text}' is not built`, problems);
  }
}

export function checkAssets(tree: Record<string, unknown>, problems: Problems): void {
  for (const [name, asset] of entriesOf(tree.assets)) {
    const path: Path = ['assets', name];
    const files = new Map<string, string>();
    const platforms = new Set<string>();
    for (const [index, item] of (asList(asMap(asset)?.images) ?? []).entries()) {
      const place: Path = [...path, 'images', index];
      const own = asMap(item)?.platforms;
      checkPlatforms(own, [...place, 'platforms'], problems);
      for (const { text } of asTexts(own ?? tree.platforms, [])) platforms.add(parsed(text) ?? text);
      checkAssetImage(item, place, files, problems);
    }
    checkDeploy(asset, path, problems);
    const plain = textAt(asset, 'plain', path);
    if (plain && checkPlatforms([plain.text], plain.path, problems, true))
      checkPlain(plain, [...platforms], `no image of asset '${name}' is`, problems);
  }
}

/** `files` holds those of the asset so far, each with its image. */
function checkAssetImage(item: unknown, path: Path, files: Map<string, string>, problems: Problems): void {
  const image = typeof item === 'string' ? { text: item, path } : textAt(item, 'image', path);
  if (!image) return;
  checkReference(image, problems);
  const as = textAt(item, 'as', path);
  if (as) checkSavedName(as, problems);
  const file = textAt(item, 'file', path);
  if (file && (file.text === '' || /[/\\]|\.(tar|tgz|gz)$/.test(file.text))) {
    const bare = file.text.replace(/^.*[/\\]/, '').replace(/(\.(tar|tgz|gz))+$/, '');
    const rule = "-arch and '.tar.gz' are added to it";
    const help = bare ? `write '${bare}': ${rule}` : `write a name, as 'registry-2': ${rule}`;
    problems.error('asset-file', file.path, `'${file.text}' can't be the name of a file without its ending`, { help });
    return;
  }
  const name = assetNames({ image: image.text, as: as?.text, file: file?.text }).file;
  const other = files.get(name);
  if (other !== undefined) {
    const message = `images '${other}' and '${image.text}' are saved in the same file '${name}'`;
    const help = "give one of them a 'file' of its own, as { image: …, file: … }";
    problems.error('duplicate-file', (file ?? image).path, message, { help });
  } else if (!problems.isSilenced(image.path)) files.set(name, image.text);
}

function checkSavedName(as: Item, problems: Problems): void {
  const reference = parseReference(problems.formOf(as));
  if (reference.ok && reference.value.tag !== undefined && reference.value.digest === undefined) return;
  const tagged = `${as.text.replace(/@.*$/, '').toLowerCase()}:latest`;
  const help = parseReference(tagged).ok ? `write '${tagged}'` : "write it in lower case, as 'registry:2'";
  problems.error('asset-name', as.path, `'${as.text}' is not name:tag`, { help });
}

function checkPlain(plain: Item, platforms: string[], subject: string, problems: Problems): void {
  const wanted = parsed(plain.text);
  if (platforms.length === 0 || wanted === undefined || platforms.includes(wanted)) return;
  problems.error('export-platform', plain.path, `${subject} for ${plain.text}`, {
    help: `name one of its platforms: ${platforms.join(', ')}`,
  });
}

function checkDeploy(owner: unknown, path: Path, problems: Problems): void {
  const deploy = asMap(asMap(owner)?.deploy);
  const text = asText(deploy?.['github-release']);
  if (text === undefined) return;
  const place: Path = [...path, 'deploy', 'github-release'];
  if (/^[A-Za-z0-9_.-]+\/[A-Za-z0-9_.-]+$/.test(problems.formOf({ text, path: place }))) return;
  const [, bare] = /^(?:https:\/\/github\.com\/|git@github\.com:)([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/.exec(text) ?? [];
  const help = bare ? `write '${bare}'` : "write owner/repository, as 'acme/base'";
  problems.error('github-release', place, `'${text}' is not a repository of GitHub`, { help });
}
