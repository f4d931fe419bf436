// What the schema can't say: names that refer to each other, and what holds for the file as a whole. The rules read the
// data safely, so that they find what they can in a file of which other parts are broken.

import { checkCi, checkJobNames, checkWorkflowLists } from './ci-rules.ts';
import { checkAssets, checkExports } from './export-rules.ts';
import { checkImages, checkSource, platformsOf } from './image-rules.ts';
import { checkBuilders, checkRegistries } from './machine-rules.ts';
import { suggest } from './nearest.ts';
import type { Path } from './parse.ts';
import { checkPlatforms } from './platform-rules.ts';
import type { Problems } from './problems.ts';
import type { Expanded } from './scopes.ts';
import { checkTag } from './tag-rules.ts';
import { asList, asMap, asTexts, entriesOf, type Item, textAt } from './tree.ts';

/** Reports whatever breaks a rule. */
export function checkRules(expanded: Expanded, problems: Problems): void {
  const { tree, disabled } = expanded;
  checkPlatforms(tree.platforms, ['platforms'], problems);
  checkPlatforms(asMap(tree.defaults)?.platforms, ['defaults', 'platforms'], problems);
  checkImages(tree, disabled, problems);
  for (const tag of expanded.tags) checkTag(tag, problems);
  checkReferences(tree, problems);
  checkAssets(tree, problems);
  checkJobNames(tree, problems);
  checkWorkflowLists(tree, problems);
  checkCi(tree.ci, problems);
  checkWorkflows(expanded, problems);
  checkArchTagSuffix(tree, problems);
  checkBuilders(tree.builders, problems);
  checkRegistries(tree, problems);
  for (const name of expanded.unusedSets) {
    const help = suggest(name, Object.keys(asMap(tree.vars) ?? {}), "the config has no 'vars'");
    problems.warn('unused-set', ['vars'], `--set ${name}=… changes nothing: no such variable is used`, {
      at: 'key',
      help,
    });
  }
}

function checkReferences(tree: Record<string, unknown>, problems: Problems): void {
  const images = asMap(tree.images) ?? {};
  const refers = ({ text, path }: Item): boolean => {
    if (Object.hasOwn(images, text)) return true;
    const help = suggest(text, Object.keys(images), "there are no 'images'");
    problems.error('unknown-image', path, `no image '${text}' in this config`, { help });
    return false;
  };
  for (const [name, image] of Object.entries(images))
    asTexts(asMap(image)?.needs, ['images', name, 'needs']).map(refers);
  for (const [name, group] of entriesOf(tree.groups)) {
    const source = textAt(group, 'source', ['groups', name]);
    if (source) checkSource(source, problems);
    asTexts(asMap(group)?.images, ['groups', name, 'images']).map(refers);
  }
  checkExports(tree, refers, problems);
}

function checkWorkflows({ tree, disabled, builds, workflow: chosen }: Expanded, problems: Problems): void {
  const images = Object.keys(asMap(tree.images) ?? {});
  const exported = (asList(tree.exports) ?? []).flatMap((entry) => textAt(entry, 'image', [])?.text ?? []);
  for (const [name, workflow] of entriesOf(tree.workflows)) {
    const path: Path = ['workflows', name];
    for (const { text, path: place } of asTexts(asMap(workflow)?.disable, [...path, 'disable'])) {
      if (images.includes(text)) continue;
      const help = `${suggest(text, images, "there are no 'images'")}; leave it out if it is gone`;
      problems.warn('unknown-image', place, `no image '${text}' in this config to disable`, { help });
    }
    for (const { text, path: place } of asTexts(asMap(workflow)?.exports, [...path, 'exports'])) {
      if (!images.includes(text)) {
        const help = suggest(text, images, "there are no 'images'");
        problems.error('unknown-image', place, `no image '${text}' in this config`, { help });
      } else if (!exported.includes(text)) {
        const help = `add one, as { image: ${text}, file: "${text}\${archSuffix}.tar.gz" }`;
        problems.error('unknown-export', place, `'exports' says nothing of image '${text}'`, { help });
      }
    }
    for (const tag of asTexts(asMap(workflow)?.tags, [...path, 'tags']))
      if (!tag.text.includes('${')) checkTag(tag, problems);
  }
  if (builds && chosen !== undefined && images.length > 0 && images.every((name) => disabled.has(name))) {
    const help = 'leave at least one image in';
    problems.error('no-images', ['workflows', chosen, 'disable'], `workflow '${chosen}' disables every image`, {
      at: 'key',
      help,
    });
  }
}

function checkArchTagSuffix(tree: Record<string, unknown>, problems: Problems): void {
  const suffix = textAt(tree, 'archTagSuffix', []);
  if (!suffix) return;
  const rest = suffix.text.replaceAll('${arch}', '');
  if (!/^[A-Za-z0-9_.-]*$/.test(problems.formOf({ text: rest, path: suffix.path }))) {
    const help = "use letters, digits, _ . and -, as '-${arch}'";
    problems.error('arch-tag-suffix', suffix.path, `'${suffix.text}' can't be the end of a tag`, { help });
    return;
  }
  const images = Object.keys(asMap(tree.images) ?? {});
  const many = images.find((name) => platformsOf(tree, name).length > 1);
  if (many === undefined || rest !== suffix.text) return;
  const message = `'archTagSuffix' must contain \${arch}: the platforms of image '${many}' would share one tag`;
  problems.error('arch-tag-suffix', suffix.path, message, {
    at: 'pair',
    help: `write "${suffix.text || '-'}\${arch}"`,
  });
}
