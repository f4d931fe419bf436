// Rules of one image, and of images among each other: names, repositories, paths, build args, secrets.
import { posix } from 'node:path';
import { parseReference } from '../image/reference.ts';
import { gitSource } from './normalise.ts';
import type { Path } from './parse.ts';
import { checkPlatforms, parsed } from './platform-rules.ts';
import type { Problems } from './problems.ts';
import { checkTag } from './tag-rules.ts';
import { asMap, asTexts, entriesOf, type Item, textAt } from './tree.ts';

/** Platforms of an image, or of the defaults where it names none; as splitbuild writes them. */
export function platformsOf(tree: Record<string, unknown>, image: string): string[] {
  const own = asMap(asMap(tree.images)?.[image])?.platforms;
  const list = own ?? asMap(tree.defaults)?.platforms ?? tree.platforms;
  return [...new Set(asTexts(list, []).flatMap(({ text }) => parsed(text) ?? []))];
}

export function checkImages(tree: Record<string, unknown>, disabled: ReadonlySet<string>, problems: Problems): void {
  const images = asMap(tree.images);
  if (images && Object.keys(images).length === 0) {
    const help = 'add one, as base: { repository: acme/base, source: ./base }';
    problems.error('no-images', ['images'], 'the config has no images', { at: 'key', help });
  }
  checkShared(tree.defaults, ['defaults'], problems);
  const repositories = new Map<string, string>();
  for (const [name, image] of Object.entries(images ?? {})) {
    const path: Path = ['images', name];
    if (!/^[a-z0-9][a-z0-9._-]*$/.test(name)) {
      const fixed = name
        .toLowerCase()
        .replace(/[^a-z0-9._-]+/g, '-')
        .replace(/^[._-]+/, '');
      const rule = 'an image name has lower-case letters, digits, . _ and -, a letter or digit first';
      const help = fixed ? `write '${fixed}': ${rule}` : rule;
      problems.error('image-name', path, `'${name}' can't name an image`, { at: 'key', help });
    }
    checkShared(image, path, problems);
    checkPlatforms(asMap(image)?.platforms, [...path, 'platforms'], problems);
    for (const tag of asTexts(asMap(image)?.tags, [...path, 'tags'])) checkTag(tag, problems);
    const repository = textAt(image, 'repository', path);
    if (repository && checkRepository(repository, problems) && !disabled.has(name)) {
      const other = repositories.get(repository.text);
      if (other !== undefined) {
        const message = `images '${other}' and '${name}' have the same repository '${repository.text}'`;
        problems.error('duplicate-repository', repository.path, message, {
          help: 'give each image a repository of its own',
        });
      } else if (!problems.isSilenced(repository.path)) repositories.set(repository.text, name);
    }
    checkOrigin(image, name, path, problems);
  }
}

function checkRepository(item: Item, problems: Problems): boolean {
  const { text, path } = item;
  const wrong = (message: string, help: string): false => {
    problems.error('repository', path, message, { help });
    return false;
  };
  const reference = parseReference(problems.formOf(item));
  if (!reference.ok) {
    const lower = text.toLowerCase();
    const help = parseReference(lower).ok
      ? `write '${lower}'`
      : 'write lower-case names joined by /, as acme/base; each may have digits, and . _ - between letters';
    return wrong(`'${text}' can't be a repository`, help);
  }
  const { registry, tag, digest } = reference.value;
  if (tag !== undefined || digest !== undefined) {
    const [bare = ''] = text.split(/[:@](?!.*\/)/);
    return wrong(`'${text}' has a ${tag === undefined ? 'digest' : 'tag'}`, `write '${bare}'; tags go under 'tags'`);
  }
  const first = text.split('/')[0] ?? '';
  if (registry === 'docker.io' && !/^(index\.)?docker\.io$/.test(first)) return true;
  return wrong(
    `'${text}' names a registry`,
    `write '${text.slice(first.length + 1)}' here, and 'registry: ${first}' at the top`,
  );
}

function checkShared(owner: unknown, path: Path, problems: Problems): void {
  for (const key of ['dockerfile', 'context']) {
    const item = textAt(owner, key, path);
    if (item) checkInside(item, key, problems);
  }
  for (const [name] of entriesOf(asMap(owner)?.args)) {
    if (!looksSecret(name)) continue;
    const message = `build argument '${name}' looks like a secret, and build arguments stay readable in the image`;
    const help = `list it under 'secrets' and read it in the Dockerfile with RUN --mount=type=secret,id=${name}`;
    problems.warn('secret-arg', [...path, 'args', name], message, { at: 'key', help });
  }
  for (const { text, path: place } of asTexts(asMap(owner)?.secrets, [...path, 'secrets'])) {
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(text)) continue;
    const help = 'write the name of an environment variable, as git_oauth_token: letters, digits and _, no digit first';
    problems.error('secret-name', place, `'${text}' can't name a secret`, { help });
  }
}

function checkInside({ text, path }: Item, key: string, problems: Problems): void {
  if (!leadsOut(text)) return;
  const absolute = isAbsolute(text);
  const message = absolute ? `'${key}' must not be an absolute path` : `'${text}' lies outside the source`;
  const help = `write a path from the top of the source; 'source' may be any folder beside or below the config: set that to one that holds the ${key}`;
  problems.error('path-outside', path, message, { help });
}

function isAbsolute(path: string): boolean {
  return /^([/\\]|[A-Za-z]:)/.test(path);
}

/** Whether a path leads out of the folder that it is written for, as far as its words say. */
function leadsOut(path: string): boolean {
  return isAbsolute(path) || /^\.\.([/\\]|$)/.test(posix.normalize(path));
}

/** Names that end in a word for a secret; a public key is none. */
function looksSecret(name: string): boolean {
  if (/public_?key$/i.test(name)) return false;
  return (
    /(token|password|passwd|secret)s?$/i.test(name) || /(^|[_.-])keys?$/i.test(name) || /[a-z0-9]Keys?$/.test(name)
  );
}

function checkOrigin(image: unknown, name: string, path: Path, problems: Problems): void {
  const source = textAt(image, 'source', path);
  const mirror = textAt(image, 'mirror', path);
  if (source) checkSource(source, problems);
  if (!mirror) return;
  if (source) {
    const help = "leave out 'source' to copy the image, or 'mirror' to build it";
    problems.error('mirror-source', mirror.path, `image '${name}' has both 'mirror' and 'source'`, {
      at: 'pair',
      help,
    });
  }
  checkReference(mirror, problems);
}

export function checkReference({ text, path }: Item, problems: Problems): void {
  if (parseReference(problems.formOf({ text, path })).ok) return;
  const help = 'write [host[:port]/]name[:tag][@sha256:…] in lower case, as docker.io/library/redis:7';
  problems.error('reference', path, `'${text}' is not an image reference`, { help });
}

export function checkSource({ text, path }: Item, problems: Problems): void {
  const git = gitSource.exec(problems.formOf({ text, path }));
  const help = 'write a folder, or a git URL with a ref, as https://github.com/acme/base.git#main:folder';
  if (!git && (/^[A-Za-z][\w+.-]*:(\/\/|:)/.test(text) || text === '')) {
    problems.error('source', path, `'${text}' is neither a folder nor a git URL`, { help });
  } else if (!git && leadsOut(text)) {
    const message = `'${text}' lies outside the folder of the config`;
    const move = 'move the config up to a folder that holds all sources, and write ./folder; or name a git URL#ref';
    problems.error('path-outside', path, message, { help: move });
  }
  if (git?.[2]?.startsWith('-')) {
    const option = "a ref begins with no '-': write a branch, a tag or a commit";
    problems.error('source', path, `'${git[2]}' is no git ref`, { help: option, at: { words: git[2] } });
  }
  const folder = git?.[3];
  if (folder !== undefined && /^(\/|\.\.(\/|$))/.test(posix.normalize(folder))) {
    problems.error('source', path, `'${folder}' lies outside the git repository`, { help, at: { words: folder } });
  }
}
