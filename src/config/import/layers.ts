// Where the value of a variable stands: in the file, in a workflow that has another one for all, or in the image that differs always.
import type { Run } from './circleci-workflows.ts';
import type { Note } from './draft.ts';

export interface Value {
  variable: string;
  owner: string;
  /** None where no workflow has the image. */
  run?: Run;
  value: string;
}

export interface Layered {
  file: Record<string, string>;
  workflows: Map<string, Record<string, string>>;
  owners: Map<string, Record<string, string>>;
  notes: { owner: string; note: Note }[];
}

export function layerValues(values: readonly Value[], order: readonly string[]): Layered {
  const result: Layered = { file: {}, workflows: new Map(), owners: new Map(), notes: [] };
  const into = (map: Map<string, Record<string, string>>, name: string, variable: string, value: string): void => {
    const found = map.get(name) ?? {};
    found[variable] = value;
    map.set(name, found);
  };
  for (const variable of order) {
    const all = values.filter((one) => one.variable === variable);
    const inRuns = all.filter((one) => one.run !== undefined);
    const runs = [...new Set(inRuns.flatMap((one) => one.run ?? []))];
    // What holds on a branch is what holds on a desk as well; a git tag is seldom there.
    const usual = runs.find((run) => run.on.tag === undefined) ?? runs[0];
    const base = mostFrequent((usual ? inRuns.filter((one) => one.run === usual) : all).map((one) => one.value));
    if (base === undefined) continue;
    result.file[variable] = base;
    const ofRun = new Map<Run | undefined, string>([[undefined, base]]);
    for (const run of runs) {
      const value: string = mostFrequent(inRuns.filter((one) => one.run === run).map((one) => one.value)) ?? base;
      ofRun.set(run, value);
      if (value !== base) into(result.workflows, run.name, variable, value);
    }
    for (const owner of new Set(all.map((one) => one.owner))) {
      const own = all.filter((one) => one.owner === owner);
      const judged = own.some((one) => one.run) ? own.filter((one) => one.run) : own;
      if (judged.every((one) => one.value === ofRun.get(one.run))) continue;
      const [first] = judged;
      if (!first) continue;
      into(result.owners, owner, variable, first.value);
      const other = judged.find((one) => one.value !== first.value);
      if (other) {
        const text = `${variable} is ${other.value} in workflow ${other.run?.name ?? ''}`;
        result.notes.push({ owner, note: { line: other.run?.line ?? 1, text } });
      }
    }
  }
  return result;
}

function mostFrequent(values: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}
