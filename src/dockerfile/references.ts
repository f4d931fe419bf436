// Which images a Dockerfile needs for a platform, resolved as BuildKit does (frontend/dockerfile/dockerfile2llb):
// stages, ARGs and the automatic platform args; only what the target is made of counts as needed.
import { type Diagnostic, fail, type Location, ok, type Result } from '../failure.ts';
import { formatPlatform, parsePlatform } from '../image/platform.ts';
import { parseReference, type Reference } from '../image/reference.ts';
import { type ArgOptions, type Args, expand, globalArgs, noValue } from './args.ts';
import { type ParsedDockerfile, parseDockerfile, rangeOf, type Source } from './instructions.ts';
import type { Word } from './lines.ts';
import { lex } from './shell-lexer.ts';

/** An image that a Dockerfile names. */
export interface FoundReference {
  /** `unreachable`: the target is not made of its stage. `unresolved`: BuildKit would refuse it; see `reason`. */
  state: 'needed' | 'unreachable' | 'unresolved';
  instruction: 'FROM' | 'COPY' | 'ADD' | 'RUN';
  written: string;
  /** After expansion of ARGs. */
  value?: string;
  reference?: Reference;
  /** `os/arch[/variant]` of FROM --platform, expanded. */
  platform?: string;
  location: Location;
  /** UTF-16 offsets of the name as written, without `--from=`, `from=` or quotes around a flag. */
  range: { start: number; end: number };
  /** Index of the stage that it is written in. */
  stage: number;
  reason?: string;
}

export interface ReferenceOptions extends ArgOptions {
  /** As it shall be named in diagnostics. */
  file: string;
}

export interface DockerfileReferences {
  /** In the order of the file. */
  references: FoundReference[];
  /** Image of the `# syntax=` directive. */
  syntax?: string;
  stages: { name?: string; index: number; needed: boolean }[];
  warnings: Diagnostic[];
}

/** What a source or a base turned out to be. */
type Resolved =
  | { kind: 'stage'; index: number }
  | { kind: 'nothing' }
  | { kind: 'image'; value: string; reference: Reference }
  | { kind: 'unresolved'; value?: string; reason: string };

interface Base {
  base: Resolved;
  platform?: string;
}

/**
 * Reads a Dockerfile for one platform: its text, or what parseDockerfile made of it, for who reads it for several. Fails with located
 * diagnostics where BuildKit would refuse the file.
 */
export function readReferences(
  dockerfile: string | ParsedDockerfile,
  options: ReferenceOptions,
): Result<DockerfileReferences> {
  const parsed = typeof dockerfile === 'string' ? parseDockerfile(dockerfile) : dockerfile;
  const at = locator(parsed.text, options.file);
  const { args, problems } = globalArgs(parsed, options);
  problems.push(...parsed.problems);
  if (problems.length > 0) {
    // What follows an unfinished heredoc or a forgotten backslash is not worth a message each.
    const diagnostics = problems
      .sort((a, b) => a.range.start - b.range.start)
      .slice(0, 3)
      .map(({ message, range, help }) => problem('dockerfile-syntax', message, at(range), help));
    return fail({ kind: 'diagnostics', diagnostics });
  }
  const target = findTarget(parsed, options);
  if (!target.ok) return target;
  const bases = parsed.stages.map((stage, index): Base => {
    const expanded = expandImage(stage.image, parsed, args);
    const base = typeof expanded === 'string' ? findBase(parsed, index, expanded) : expanded;
    return { base, ...(stage.platform ? expandPlatform(stage.platform, parsed, args, base) : {}) };
  });
  const sources = parsed.stages.map((stage) =>
    stage.sources.map((source) => ({ source, resolved: findSource(parsed, source) })),
  );
  const inherited = (index: number): typeof sources => {
    const { base } = bases[index] ?? {};
    return base?.kind === 'stage' ? [(sources[base.index] ?? []).filter(({ source }) => source.onbuild)] : [];
  };
  const own = (index: number): (typeof sources)[number] => [
    ...(sources[index] ?? []).filter(({ source }) => !source.onbuild),
    ...inherited(index).flat(),
  ];

  const needed = new Set<number>();
  const errors: Diagnostic[] = [];
  const tooEarly = ({ from }: Source): void => {
    const message = `'${from.text}' is a stage that is not built before this instruction`;
    errors.push(problem('dockerfile-stage-order', message, at(rangeOf(from)), 'move that stage above this one'));
  };
  // What a stage needs stands above it, so one way up finds all. (By recursion, a long chain of stages would end the stack.)
  needed.add(target.value);
  for (let index = target.value; index >= 0; index--) {
    if (!needed.has(index)) continue;
    const { base } = bases[index] ?? {};
    if (base?.kind === 'stage') needed.add(base.index);
    for (const { source, resolved } of own(index)) {
      if (resolved.kind !== 'stage') continue;
      if (resolved.index < index) needed.add(resolved.index);
      else tooEarly(source);
    }
  }
  errors.sort((a, b) => (a.location?.line ?? 0) - (b.location?.line ?? 0));
  if (errors.length > 0) return fail({ kind: 'diagnostics', diagnostics: errors });

  const triggered = new Set([...needed].flatMap((index) => inherited(index).flat()));
  const found = (
    instruction: FoundReference['instruction'],
    word: Word,
    resolved: Resolved,
    stage: number,
    reached: boolean,
  ): FoundReference[] => {
    if (resolved.kind === 'stage' || resolved.kind === 'nothing') return [];
    const range = rangeOf(word);
    const { kind, ...rest } = resolved;
    const state = kind === 'unresolved' ? kind : reached ? 'needed' : 'unreachable';
    return [{ state, instruction, written: word.text, ...rest, location: at(range), range, stage }];
  };
  const references = parsed.stages.flatMap((stage, index) => {
    const { base, platform } = bases[index] ?? {};
    const from = base ? found('FROM', stage.image, base, index, needed.has(index)) : [];
    return [
      ...from.map((reference) => (platform ? { ...reference, platform } : reference)),
      ...(sources[index] ?? []).flatMap((entry): FoundReference[] => {
        const { source, resolved } = entry;
        const reached = source.onbuild ? triggered.has(entry) : needed.has(index);
        const references = found(source.instruction, source.from, resolved, index, reached);
        if (!source.onbuild || reached) return references;
        const reason = 'an ONBUILD runs in a build FROM this image, and no stage that is needed is one';
        return references.map((reference) => ({ ...reference, state: 'unreachable', reason }));
      }),
    ];
  });
  return ok({
    references,
    ...(parsed.syntax ? { syntax: parsed.syntax } : {}),
    stages: parsed.stages.map(({ name }, index) => ({ ...(name ? { name } : {}), index, needed: needed.has(index) })),
    warnings: mountNumbers(parsed, at),
  });
}

/** Whether what a Dockerfile needs may differ by platform and build arguments: of most it is one answer. */
export function asksForArgs({ args, stages }: ParsedDockerfile): boolean {
  return args.length > 0 || stages.some(({ image, platform }) => `${image.text}${platform?.text ?? ''}`.includes('$'));
}

function findTarget(parsed: ParsedDockerfile, { file, target }: ReferenceOptions): Result<number> {
  if (!target) return ok(parsed.stages.length - 1);
  const index = findStage(parsed, target);
  if (index !== undefined) return ok(index);
  const names = parsed.stages.flatMap(({ name }) => (name ? [name] : []));
  const help =
    names.length > 0
      ? `its stages: ${names.join(', ')}`
      : 'no stage of it has a name: write FROM <image> AS <name>, or name no target';
  const message = `${file} has no stage '${target}'${/^\d+$/.test(target) ? ': a target is a name, not a number' : ''}`;
  return fail({ kind: 'diagnostics', diagnostics: [problem('unknown-target', message, undefined, help)] });
}

function expandImage(word: Word, parsed: ParsedDockerfile, args: Args): string | Resolved {
  const expanded = expand(word.text, parsed, args);
  if (!expanded.ok) return { kind: 'unresolved', reason: expanded.message };
  const { value, missing } = expanded.value;
  if (value !== '' && (missing.length === 0 || parseReference(value).ok)) return value;
  const reason =
    missing.length > 0 ? noValue(missing, parsed) : `'${word.text}' is nothing once its ARGs are filled in`;
  return { kind: 'unresolved', ...(value ? { value } : {}), reason };
}

/** `--platform` of a FROM; what BuildKit would refuse makes the reference unresolved. */
function expandPlatform(word: Word, parsed: ParsedDockerfile, args: Args, base: Resolved): Partial<Base> {
  const expanded = expand(word.text, parsed, args);
  const platform = expanded.ok ? parsePlatform(expanded.value.value) : undefined;
  if (platform?.ok) return { platform: formatPlatform(platform.value) };
  const missing = expanded.ok ? noValue(expanded.value.missing, parsed) : expanded.message;
  const reason = `--platform=${word.text} is not a platform${missing ? `: ${missing}` : ''}`;
  return { base: { kind: 'unresolved', ...('value' in base ? { value: base.value } : {}), reason } };
}

/** FROM compares exactly with the lower-cased names of the stages above it; the last of a name counts. */
function findBase(parsed: ParsedDockerfile, index: number, value: string): Resolved {
  const stage = parsed.stages.slice(0, index).findLastIndex(({ name }) => name === value);
  return stage < 0 ? image(value, parsed) : { kind: 'stage', index: stage };
}

/** COPY --from and a mount's from= ignore case, and see the stages below too. */
function findStage(parsed: ParsedDockerfile, value: string): number | undefined {
  const index = parsed.stages.findLastIndex(({ name }) => name === value.toLowerCase());
  return index < 0 ? undefined : index;
}

function findSource(parsed: ParsedDockerfile, { instruction, from }: Source): Resolved {
  const { text } = from;
  if (instruction === 'COPY') {
    const expanded = lex(text, { escapeChar: parsed.escapeChar, lookup: () => undefined });
    if (!expanded.ok || expanded.value.value !== text) {
      const reason = 'COPY --from takes no variables: write FROM … AS <name> with it, and copy from that stage';
      return { kind: 'unresolved', reason };
    }
    if (/^[+-]?\d+$/.test(text)) {
      const index = Number(text);
      if (index >= 0 && index < parsed.stages.length) return { kind: 'stage', index };
      return { kind: 'unresolved', reason: `there is no stage ${text}: they are numbered from 0` };
    }
  } else if (text.includes('$')) {
    const reason = "a mount's from= takes no variables: write FROM … AS <name> with it, and mount from that stage";
    return { kind: 'unresolved', reason };
  }
  const index = findStage(parsed, text);
  return index === undefined ? image(text, parsed) : { kind: 'stage', index };
}

function image(value: string, parsed: ParsedDockerfile): Resolved {
  if (value === 'scratch') return { kind: 'nothing' };
  const reference = parseReference(value);
  if (reference.ok) return { kind: 'image', value, reference: reference.value };
  const stage = findStage(parsed, value);
  const reason = `'${value}' is not an image reference${stage === undefined ? '' : `; a stage's name is lower-cased: write ${value.toLowerCase()}`}`;
  return { kind: 'unresolved', value, reason };
}

/** `from=0` of a mount is an image named 0, which nobody means. */
function mountNumbers(parsed: ParsedDockerfile, at: (range: FoundReference['range']) => Location): Diagnostic[] {
  return parsed.stages
    .flatMap(({ sources }) => sources)
    .filter(({ instruction, from }) => instruction === 'RUN' && /^\d+$/.test(from.text))
    .map(({ from }) => ({
      code: 'mount-from-number',
      severity: 'warning',
      message: `a mount's from= takes no stage number: BuildKit looks for an image named '${from.text}'`,
      location: at(rangeOf(from)),
      help: 'give the stage a name with AS, and write that',
    }));
}

function problem(code: string, message: string, location: Location | undefined, help: string | undefined): Diagnostic {
  return { code, severity: 'error', message, ...(location ? { location } : {}), ...(help ? { help } : {}) };
}

function locator(text: string, file: string): (range: { start: number; end: number }) => Location {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return ({ start, end }) => {
    // The last line that begins at or before the place.
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= start) low = middle;
      else high = middle - 1;
    }
    const lineStart = starts[low] ?? 0;
    const lineEnd = (starts[low + 1] ?? text.length + 1) - 1;
    return {
      file,
      line: low + 1,
      column: start - lineStart + 1,
      endColumn: Math.min(end, lineEnd) - lineStart + 1,
      text: text.slice(lineStart, lineEnd).replace(/\r$/, ''),
    };
  };
}
