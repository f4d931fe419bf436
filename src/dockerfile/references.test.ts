// readReferences against BuildKit's own answers (testdata/README.md), and what BuildKit doesn't tell: places and reasons.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPlatform, type Platform, parsePlatform } from '../image/platform.ts';
import { formatReference } from '../image/reference.ts';
import { parseDockerfile } from './instructions.ts';
import { asksForArgs, type DockerfileReferences, readReferences } from './references.ts';
import cases from './testdata/cases.json' with { type: 'json' };

interface Case {
  file: string;
  platform?: string;
  args?: Record<string, string>;
  target?: string;
  images?: string[];
  syntax?: string;
  refused?: string;
}

const arm64 = platform('linux/arm64');
const amd64 = platform('linux/amd64');

function platform(text: string): Platform {
  const parsed = parsePlatform(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

function read(text: string, args: Record<string, string> = {}, target?: string): DockerfileReferences {
  const result = readReferences(text, { file: 'Dockerfile', platform: arm64, args, ...(target ? { target } : {}) });
  if (!result.ok) throw new Error(JSON.stringify(result.failure));
  return result.value;
}

function diagnostics(text: string, target?: string): unknown {
  const result = readReferences(text, { file: 'Dockerfile', platform: arm64, args: {}, ...(target ? { target } : {}) });
  if (result.ok || result.failure.kind !== 'diagnostics') throw new Error('no diagnostics');
  return result.failure.diagnostics;
}

describe('as BuildKit', () => {
  test.each(
    (cases as Case[]).map((one) => [`${one.file} ${JSON.stringify({ ...one.args, target: one.target })}`, one]),
  )('%s', (_, one) => {
    const text = readFileSync(new URL(`testdata/${(one as Case).file}`, import.meta.url), 'utf8');
    const { args = {}, target, images, syntax, refused } = one as Case;
    const target_ = platform((one as Case).platform ?? 'linux/arm64');
    const options = { file: 'Dockerfile', platform: target_, buildPlatform: amd64, args };
    const result = readReferences(text, target ? { ...options, target } : options);
    const unresolved = !result.ok || result.value.references.some(({ state }) => state === 'unresolved');
    expect(unresolved).toBe(refused !== undefined);
    if (!result.ok || unresolved) return;
    const needed = result.value.references.flatMap(({ state, reference, platform: asked }) => {
      if (state !== 'needed' || !reference) return [];
      const whole = reference.tag || reference.digest ? reference : { ...reference, tag: 'latest' };
      return [`${formatReference(whole)} ${asked ?? formatPlatform(target_)}`];
    });
    expect([...new Set(needed)].sort()).toEqual(images);
    expect(result.value.syntax).toBe(syntax);
  });
});

describe('places', () => {
  test('a range is the name as written, without flag, quotes, platform and AS', () => {
    const text = [
      '\uFEFFARG V=1\r',
      'FROM --platform=linux/amd64 alpine:${V} AS a\r',
      'COPY --chown=1 --from="redis:7" / /\r',
      'RUN --mount=target=/x,from=nginx,type=bind true\r',
      '',
    ].join('\n');
    const { references } = read(text);
    expect(references.map(({ range }) => text.slice(range.start, range.end))).toEqual([
      'alpine:${V}',
      'redis:7',
      'nginx',
    ]);
    expect(references.map(({ written, value, instruction }) => [instruction, written, value])).toEqual([
      ['FROM', 'alpine:${V}', 'alpine:1'],
      ['COPY', 'redis:7', 'redis:7'],
      ['RUN', 'nginx', 'nginx'],
    ]);
    expect(references[1]?.location).toEqual({
      file: 'Dockerfile',
      line: 3,
      column: 24,
      endColumn: 31,
      text: 'COPY --chown=1 --from="redis:7" / /',
    });
  });

  test('a name that goes on in the next line has its range over both', () => {
    const text = 'FROM al\\\n# why\npine AS a\n';
    const [reference] = read(text).references;
    expect(reference?.written).toBe('alpine');
    expect(reference && text.slice(reference.range.start, reference.range.end)).toBe('al\\\n# why\npine');
    expect(reference?.location).toMatchObject({ line: 1, column: 6, endColumn: 9 });
  });

  test('offsets are UTF-16 code units', () => {
    const text = '# 😀 ä\nFROM alpine\n';
    // '# ' 2, the emoji 2, ' ä' 2, the break 1, 'FROM ' 5.
    expect(read(text).references[0]?.range).toEqual({ start: 12, end: 18 });
  });
});

describe('states', () => {
  test('a stage that the target is not made of is unreachable', () => {
    const found = read('FROM alpine AS a\nFROM debian AS b\nCOPY --from=redis / /\nFROM a\n');
    expect(found.references.map(({ written, state, stage }) => [written, state, stage])).toEqual([
      ['alpine', 'needed', 0],
      ['debian', 'unreachable', 1],
      ['redis', 'unreachable', 1],
    ]);
    expect(found.stages).toEqual([
      { name: 'a', index: 0, needed: true },
      { name: 'b', index: 1, needed: false },
      { index: 2, needed: true },
    ]);
  });

  test('an ONBUILD of the last stage is for another build', () => {
    const [, copy] = read('FROM alpine\nONBUILD COPY --from=redis / /\n').references;
    expect(copy).toMatchObject({ written: 'redis', state: 'unreachable', reason: expect.stringContaining('ONBUILD') });
  });

  test.each([
    ['ARG BASE\nFROM $BASE\n', 'ARG BASE has no value'],
    ['FROM alpine:$TAG\n', 'no ARG TAG stands above the first FROM'],
    ['ARG GO\nARG IMAGE=golang:${GO}\nFROM $IMAGE\n', 'ARG GO has no value'],
    ['FROM alpine:${X:?say}\n', 'X: say'],
    ['FROM alpine\nCOPY --from=$X / /\n', 'COPY --from takes no variables'],
    ['FROM alpine\nRUN --mount=from=$X,target=/x true\n', "a mount's from= takes no variables"],
    ['FROM alpine\nCOPY --from=7 / /\n', 'there is no stage 7'],
    ['FROM alpine AS Base\nFROM Base\n', 'write base'],
  ])('%j is unresolved, with the reason', (text, reason) => {
    const unresolved = read(text).references.filter(({ state }) => state === 'unresolved');
    expect(unresolved).toHaveLength(1);
    expect(unresolved[0]?.reason).toContain(reason);
    expect(unresolved[0]?.reference).toBeUndefined();
  });

  test("a mount's stage number is warned of: BuildKit takes it for an image", () => {
    const { warnings } = read('FROM alpine AS a\nFROM alpine\nRUN --mount=from=0,target=/x true\n');
    expect(warnings).toMatchObject([{ code: 'mount-from-number', severity: 'warning', location: { line: 3 } }]);
  });
});

describe('files that BuildKit refuses', () => {
  test('an unknown instruction is underlined, and the nearest one is named', () => {
    expect(diagnostics('FROM alpine\n  RNU true\n')).toEqual([
      {
        code: 'dockerfile-syntax',
        severity: 'error',
        message: "'RNU' is no instruction",
        location: { file: 'Dockerfile', line: 2, column: 3, endColumn: 6, text: '  RNU true' },
        help: 'did you mean RUN?',
      },
    ]);
  });

  test.each([
    ['', 1, 'empty'],
    ['ARG X\n', 1, 'no FROM'],
    ['FROM\n', 1, 'given no image'],
    ['FROM a b\n', 1, 'AS and a name'],
    ['FROM alpine\nRUN cat <<EOF\nx\n', 2, "the heredoc 'EOF' is not ended"],
    ['ARG A=1\nRUN true\nFROM alpine\n', 2, 'before the first FROM'],
    ['FROM alpine\n\nADD --from=x a b\n', 3, 'ADD has no flag --from'],
  ])('%j', (text, line, message) => {
    expect(diagnostics(text)).toMatchObject([
      { code: 'dockerfile-syntax', message: expect.stringContaining(message), location: { file: 'Dockerfile', line } },
    ]);
  });

  test('an unknown target lists the stages', () => {
    expect(diagnostics('FROM alpine AS one\nFROM one AS two\n', '1')).toMatchObject([
      {
        code: 'unknown-target',
        message: expect.stringContaining('a name, not a number'),
        help: 'its stages: one, two',
      },
    ]);
  });

  test('a copy from a stage below is told', () => {
    expect(diagnostics('FROM alpine AS a\nCOPY --from=b / /\nFROM a AS b\n')).toMatchObject([
      { code: 'dockerfile-stage-order', location: { line: 2, column: 13, endColumn: 14 } },
    ]);
  });
});

const fragments = fc.constantFrom(
  ...['FROM ', 'ARG ', 'COPY ', 'RUN ', 'ONBUILD ', 'ADD ', '--from=', '--mount=', 'from=', '--platform=', ' AS '],
  ...['\\\n', '\\ ', '\\', '`', '\r\n', '\n', '\t', ' ', '#', '# escape=`\n', '# syntax=x\n', '<<EOF', 'EOF\n', '<<-"'],
  ...[
    '$',
    '${',
    '}',
    '${X',
    ':-',
    '//',
    '/',
    '%',
    '##',
    "'",
    '"',
    ',',
    '=',
    'X',
    'a',
    '0',
    '[',
    '\uFEFF',
    '😀',
    '\u0000',
  ],
);

test('no text makes it throw, and every range holds what is written', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fragments, { maxLength: 40 }).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(texts, fc.dictionary(fc.constantFrom('X', 'a', '__proto__'), fc.string()), (text, args) => {
      const result = readReferences(text, { file: 'Dockerfile', platform: arm64, args });
      if (!result.ok) return;
      for (const { range, written } of result.value.references) {
        const chars = text.slice(range.start, range.end);
        expect(chars.startsWith(written.charAt(0)) && chars.endsWith(written.at(-1) ?? '')).toBe(true);
      }
    }),
    { numRuns: 3000 },
  );
});

test('an instruction may begin below a continued line that is empty', () => {
  expect(read('\\\nFROM alpine\n').references.map(({ written }) => written)).toEqual(['alpine']);
});

test('flags end at the first word that is none, also where it holds --', () => {
  expect(read('FROM alpine\nCOPY a--b --from=redis /\n').references.map(({ written }) => written)).toEqual(['alpine']);
});

test('only a Dockerfile with ARGs above its first FROM, or a variable in one, may need other images for another platform', () => {
  const asks = (text: string): boolean => asksForArgs(parseDockerfile(text));
  expect(asks('FROM alpine\nARG X=1\nRUN echo $X\nCOPY --from=redis:7 / /\n')).toBe(false);
  expect(asks('ARG X=1\nFROM alpine\n')).toBe(true);
  expect(asks('FROM alpine-$TARGETARCH\n')).toBe(true);
  expect(asks('FROM --platform=$BUILDPLATFORM alpine\n')).toBe(true);
});
