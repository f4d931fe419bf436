// What CircleCI's own schema lets pass: a `requires` that names no job, a circle of them, a platform's image that nothing publishes.
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { Diagnostic, Location } from '../failure.ts';

/** Problems of a pipeline as it is committed, by hand or by `ci generate`. */
export function checkCircleci(text: string, file: string): Diagnostic[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems: Diagnostic[] = [];
  const report = (code: string, message: string, node: unknown, help?: string): void => {
    problems.push({ code, severity: 'error', message, ...locate(node, text, file, lines), ...(help ? { help } : {}) });
  };
  for (const error of document.errors) report('yaml-syntax', error.message, { range: error.pos });
  if (problems.length > 0) return problems;
  const definitions = new Set(keysOf(document.get('jobs', true)).map(({ name }) => name));
  for (const { name: workflow, value } of keysOf(document.get('workflows', true))) {
    if (!isMap(value)) continue;
    const jobs = entriesOf(value.get('jobs', true));
    const names = new Set(jobs.map(({ name }) => name));
    for (const job of jobs) {
      if (!definitions.has(job.definition) && !job.isApproval && !job.definition.includes('/')) {
        report(
          'unknown-job',
          `workflow '${workflow}' has the job '${job.definition}', which is defined nowhere`,
          job.node,
        );
      }
      for (const { name, node } of job.requires) {
        if (names.has(name)) continue;
        report('unknown-requires', `'${job.name}' requires '${name}', which is no job of workflow '${workflow}'`, node);
      }
    }
    const circle = circleOf(new Map(jobs.map((job) => [job.name, job.requires.map(({ name }) => name)])));
    const [first] = circle ?? [];
    if (circle) {
      const at = jobs.find(({ name }) => name === first)?.node;
      report('cycle', `the jobs of workflow '${workflow}' require each other in a circle: ${circle.join(' → ')}`, at);
    }
    const config: unknown = document.toJS({ maxAliasCount: -1 });
    for (const { message, job } of unpublished(config, jobs, workflow)) {
      report(
        'unpublished',
        message,
        job.node,
        'nothing joins what it pushes: take it out, or add it to its manifest job',
      );
    }
    for (const { message, job } of unbuilt(config, jobs, workflow)) {
      report('unbuilt', message, job.node, 'take the line out of its exports, or build that platform');
    }
  }
  return problems;
}

interface Entry {
  name: string;
  definition: string;
  isApproval: boolean;
  requires: { name: string; node: unknown }[];
  node: unknown;
}

function entriesOf(node: unknown): Entry[] {
  if (!isSeq(node)) return [];
  return node.items.flatMap((item): Entry[] => {
    if (isScalar(item)) {
      const name = String(item.value);
      return [{ name, definition: name, isApproval: false, requires: [], node: item }];
    }
    const [pair] = isMap(item) ? item.items : [];
    if (!pair || !isScalar(pair.key)) return [];
    const definition = String(pair.key.value);
    const { value } = pair;
    if (!isMap(value)) return [{ name: definition, definition, isApproval: false, requires: [], node: pair.key }];
    const requires = value.get('requires', true);
    return [
      {
        name: String(value.get('name') ?? definition),
        definition,
        isApproval: value.get('type') === 'approval',
        requires: isSeq(requires)
          ? requires.items.map((one) => ({ name: String(isScalar(one) ? one.value : one), node: one }))
          : [],
        node: pair.key,
      },
    ];
  });
}

function circleOf(needs: Map<string, string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, path: string[]): string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const need of needs.get(name) ?? []) {
      const circle = visit(need, [...path, name]);
      if (circle) return circle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of needs.keys()) {
    const circle = visit(name, []);
    if (circle) return circle;
  }
  return undefined;
}

/** Jobs that push a platform's image for a manifest job to join, and no job of the workflow that joins it. */
function unpublished(config: unknown, jobs: Entry[], workflow: string): { message: string; job: Entry }[] {
  const joined = new Set(
    jobs.flatMap((job) =>
      stepsOf(config, job).flatMap(({ publish }) =>
        words(publish?.images).flatMap((image) => words(publish?.arches).map((arch) => `${image} ${arch}`)),
      ),
    ),
  );
  return jobs.flatMap((job) =>
    stepsOf(config, job).flatMap(({ build, group }) => {
      const made = build ? words(build.image) : words(group?.images);
      const arch = build?.arch ?? group?.arch ?? '';
      const lost = made.filter((image) => !joined.has(`${image} ${arch}`));
      if (lost.length === 0) return [];
      return [
        {
          message: `workflow '${workflow}': '${job.name}' pushes ${lost.join(', ')} for ${arch.replace(/^-/, '')}, which no job of it publishes`,
          job,
        },
      ];
    }),
  );
}

/** Exports of a platform that no job of the workflow builds. */
function unbuilt(config: unknown, jobs: Entry[], workflow: string): { message: string; job: Entry }[] {
  const steps = jobs.map((job) => ({ job, steps: stepsOf(config, job) }));
  const built = new Set(
    steps.flatMap(({ steps: own }) =>
      own.flatMap((step) =>
        [step.build, step.group, step.emulated, step['emulated-group']].flatMap((one) =>
          words(one?.image ?? one?.images).flatMap((image) =>
            words(one?.arch ?? one?.arches).map((arch) => `${image} ${arch}`),
          ),
        ),
      ),
    ),
  );
  return steps.flatMap(({ job, steps: own }) =>
    own.flatMap((step) =>
      (step.export?.exports ?? '').split('\n').flatMap((line) => {
        const [image = '', platform = '', arch = ''] = words(line);
        if (image === '' || built.has(`${image} ${arch}`)) return [];
        return [
          {
            message: `workflow '${workflow}': '${job.name}' exports ${image} for ${platform}, which no job of it builds`,
            job,
          },
        ];
      }),
    ),
  );
}

function stepsOf(config: unknown, job: Entry): Record<string, Record<string, string>>[] {
  const steps = at(config, 'jobs', job.definition, 'steps');
  return Array.isArray(steps) ? steps.filter((step) => typeof step === 'object' && step !== null) : [];
}

/** Words of a setting; a parameter (`<< parameters.org >>/base`) is part of one. */
function words(value: unknown): string[] {
  return typeof value === 'string'
    ? value
        .replace(/<<\s*(\S+)\s*>>/g, '<<$1>>')
        .split(' ')
        .filter(Boolean)
    : [];
}

function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}

function keysOf(node: unknown): { name: string; value: unknown }[] {
  if (!isMap(node)) return [];
  return node.items.flatMap(({ key, value }) => (isScalar(key) ? [{ name: String(key.value), value }] : []));
}

function locate(node: unknown, text: string, file: string, lines: LineCounter): { location?: Location } {
  const range = typeof node === 'object' && node !== null ? (node as Partial<Pick<Node, 'range'>>).range : undefined;
  if (!range) return {};
  const start = lines.linePos(range[0]);
  const row = text.split('\n')[start.line - 1] ?? '';
  const endColumn = Math.min(start.col + range[1] - range[0], row.length + 1);
  return { location: { file, line: start.line, column: start.col, endColumn, text: row } };
}
