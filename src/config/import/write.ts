// Writes a draft as the YAML that a person would write: short maps in one line, what could not be expressed as comments at its place.
import { Document, isMap, isScalar, isSeq, type Node, Scalar, visit, YAMLMap, YAMLSeq } from 'yaml';
import type { Draft, DraftAsset, DraftExport, DraftGroup, DraftImage, DraftWorkflow, Note } from './draft.ts';
import { isRegistryName } from './references.ts';

const width = 120;
/** Parts of the file with an entry a line at least. */
const sections = new Set(['images', 'groups', 'exports', 'assets', 'workflows', 'ci']);

export function writeDraft(draft: Draft): string {
  const document = new Document(new YAMLMap());
  const set = (key: string, value: unknown): Node | undefined => {
    if (isEmpty(value)) return undefined;
    const node = document.createNode(value);
    document.set(document.createNode(key), node);
    return node;
  };
  set('version', 1);
  set('family', draft.family);
  set('platforms', draft.platforms);
  set('registry', draft.registry);
  set('mode', draft.mode);
  set('archTagSuffix', draft.archTagSuffix);
  set('vars', draft.vars);

  const defaults = defaultsOf(draft.images);
  set('defaults', defaults);
  const images = new YAMLMap();
  for (const image of draft.images) add(images, image.name, imageMap(image, defaults), image.notes);
  set('images', images);
  const groups = new YAMLMap();
  for (const group of draft.groups) add(groups, group.name, groupMap(group), group.notes);
  set('groups', groups);
  const exported = set('exports', draft.exports.map(exportMap));
  const assets = new YAMLMap();
  for (const asset of draft.assets) add(assets, asset.name, assetMap(asset, draft.platforms), asset.notes);
  set('assets', assets);
  const workflows = new YAMLMap();
  for (const workflow of draft.workflows) add(workflows, workflow.name, workflowMap(workflow), workflow.notes);
  set('workflows', workflows);
  const { image, deployImage, resourceClass, contexts, jobs } = draft.ci;
  set('ci', filled({ circleci: filled({ image, deployImage, resourceClass, contexts, jobs }) }));

  if (isSeq(exported))
    for (const [index, item] of exported.items.entries()) comment(item, draft.exports[index]?.notes ?? []);
  if (isMap(document.contents)) {
    for (const { key, value } of document.contents.items) {
      if (!isScalar(key)) continue;
      key.spaceBefore = key.value === 'vars' || key.value === 'defaults' || sections.has(String(key.value));
      if (!isMap(value) && !isSeq(value)) continue;
      if (sections.has(String(key.value))) spread(value);
      else flow(value, 0, String(key.value).length + 2);
    }
  }
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value === 'string' && /\$\{|[*]/.test(node.value) && !node.value.includes('\n'))
        node.type = 'QUOTE_DOUBLE';
    },
    Seq: (_key, node) => {
      node.toString = tight;
    },
    Map: (_key, node) => {
      node.toString = roomy;
    },
  });
  document.commentBefore = [
    ` Read from ${draft.file}. What it does and this file does not say is in comments, with its lines there.`,
    ...lines(draft.notes),
  ].join('\n');
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });

  function add(map: YAMLMap, name: string, value: unknown, notes: readonly Note[]): void {
    const key = document.createNode(name);
    comment(key, notes);
    map.set(key, document.createNode(value));
  }

  function comment(node: unknown, notes: readonly Note[]): void {
    if (notes.length > 0 && (isScalar(node) || isMap(node))) node.commentBefore = lines(notes).join('\n');
  }

  function lines(notes: readonly Note[]): string[] {
    return [...notes]
      .sort((a, b) => a.line - b.line)
      .flatMap(({ line, text }) => {
        const [first = '', ...rest] = text.split('\n');
        return [` ${draft.file}:${line}: ${first}`, ...rest.map((row) => `   ${row}`)];
      });
  }
}

/** One line where it fits, with nothing inside that has a comment; the rest by line. */
function flow(node: Node, indent: number, before: number): void {
  if (!isMap(node) && !isSeq(node)) return;
  if (
    !holdsComment(node) &&
    !holdsLines(node) &&
    indent + before + oneLine(node).length <= width &&
    depthOf(node) <= 2
  ) {
    node.flow = true;
    return;
  }
  spread(node, indent);
}

/** By line, with what is inside in one line where it fits. */
function spread(node: Collection, indent = 0): void {
  node.flow = false;
  for (const item of node.items) {
    if (isMap(item) || isSeq(item)) flow(item, indent + 2, 2);
    else if (typeof item === 'object' && item !== null && 'value' in item && 'key' in item) {
      const { key, value } = item;
      if (isMap(value) || isSeq(value)) flow(value, indent + 2, String(isScalar(key) ? key.value : key).length + 2);
    }
  }
}

type Collection = YAMLMap<unknown, unknown> | YAMLSeq<unknown>;

/** `[a, b]` and `{ a: b }`: lists have no spaces inside, and maps have. */
const tight: YAMLSeq['toString'] = function (this: YAMLSeq, context, ...rest) {
  return YAMLSeq.prototype.toString.call(this, context && { ...context, flowCollectionPadding: '' }, ...rest);
};
const roomy: YAMLMap['toString'] = function (this: YAMLMap, context, ...rest) {
  return YAMLMap.prototype.toString.call(this, context && { ...context, flowCollectionPadding: ' ' }, ...rest);
};

function oneLine(node: Node): string {
  const copy = node.clone();
  if (isMap(copy) || isSeq(copy)) copy.flow = true;
  if (!isMap(copy) && !isSeq(copy)) return '';
  const document = new Document(copy);
  return document.toString({ lineWidth: 0 }).trim();
}

/** How many collections lie in each other. */
function depthOf(node: unknown): number {
  if (isSeq(node)) return 1 + Math.max(0, ...node.items.map(depthOf));
  if (isMap(node)) return 1 + Math.max(0, ...node.items.map(({ value }) => depthOf(value)));
  return 0;
}

function holdsComment(node: unknown): boolean {
  if (isScalar(node)) return Boolean(node.commentBefore);
  if (isSeq(node)) return node.items.some((item) => (isMap(item) && Boolean(item.commentBefore)) || holdsComment(item));
  if (isMap(node)) return node.items.some(({ key, value }) => holdsComment(key) || holdsComment(value));
  return false;
}

function holdsLines(node: unknown): boolean {
  if (isScalar(node)) return typeof node.value === 'string' && node.value.includes('\n');
  if (isSeq(node)) return node.items.some(holdsLines);
  if (isMap(node)) return node.items.some(({ value }) => holdsLines(value));
  return false;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  if (value instanceof YAMLMap) return value.items.length === 0;
  return typeof value === 'object' && value !== null && !(value instanceof Scalar) && Object.keys(value).length === 0;
}

/** Without what is absent or empty. */
function filled(map: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => !isEmpty(value)));
}

/** What all images have that are built of a Dockerfile. */
function defaultsOf(images: readonly DraftImage[]): Record<string, string> {
  const built = images.filter(
    ({ mirror, source, dockerfile, context }) =>
      mirror === undefined && (source ?? dockerfile ?? context) !== undefined,
  );
  const files = built.map(({ dockerfile }) => dockerfile);
  const [first] = files;
  const counts = files.filter((file) => file === first).length;
  if (first === undefined || built.length < 3 || counts * 2 <= built.length || files.includes(undefined)) return {};
  return { dockerfile: first };
}

function imageMap(image: DraftImage, defaults: Record<string, string>): Record<string, unknown> {
  const { job, repository, mirror, source, context, target, args, secrets, mode, platforms, needs, tags, vars } = image;
  const dockerfile = image.dockerfile === defaults.dockerfile ? undefined : image.dockerfile;
  return filled({
    repository,
    job,
    mirror,
    source,
    context,
    dockerfile,
    target,
    args,
    secrets,
    mode,
    platforms,
    needs,
    tags,
    vars,
  });
}

function groupMap({ job, images, source, script, vars }: DraftGroup): Record<string, unknown> {
  return filled({ images, job, source, script, vars });
}

function exportMap({ image, file, plain, deploy }: DraftExport): Record<string, unknown> {
  return filled({ image, file, plain, deploy: deploy === undefined ? undefined : { 'github-release': deploy } });
}

function assetMap({ images, plain, deploy }: DraftAsset, all: readonly string[]): Record<string, unknown> {
  const items = images.map(({ image, as, file, platforms = [] }) => {
    const map = filled({ image, as, file, platforms: platforms.length === all.length ? undefined : platforms });
    return Object.keys(map).length === 1 ? image : map;
  });
  return filled({ images: items, plain, deploy: deploy === undefined ? undefined : { 'github-release': deploy } });
}

function workflowMap({ on, tags, vars, disable, exports, assets, jobs }: DraftWorkflow): Record<string, unknown> {
  return {
    ...filled({ on, tags, vars, disable }),
    ...(exports === undefined ? {} : { exports }),
    ...filled({ assets, jobs }),
  };
}

/** Values for the variables of the environment that a written config asks for: enough to check it where they are not set. */
export function trialEnvironment(text: string): Record<string, string> {
  const names = [...text.matchAll(/\$\{env:(\w+)\}/g)].flatMap(([, name]) => name ?? []);
  return Object.fromEntries(
    names.map((name) => [name, isRegistryName(name) ? 'registry.example' : name.toLowerCase()]),
  );
}
