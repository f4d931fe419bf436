// Reads a CircleCI config into typed data: YAML, then shapes. What its parameters and requirements mean is expand.ts's.
import { type ParsedFile, type Path, parseConfig } from '../config/parse.ts';
import { createProblems, type Problems } from '../config/problems.ts';
import { asMap } from '../config/tree.ts';
import { fail, ok, type Result } from '../failure.ts';
import {
  commandSchema,
  executorSchema,
  jobSchema,
  pipelineSchema,
  type WrittenPipeline,
  workflowSchema,
} from './schema.ts';
import { checkShape } from './shape.ts';

export interface ParsedPipeline {
  file: ParsedFile;
  written: WrittenPipeline;
}

const shapes: Record<string, string[]> = {
  jobs: Object.keys(jobSchema.shape),
  commands: Object.keys(commandSchema.shape),
  executors: Object.keys(executorSchema.shape),
  workflows: Object.keys(workflowSchema.shape),
};

/** The failure is of kind `diagnostics`, with all that is wrong with the file's shape. */
export function parsePipeline(text: string, file: string): Result<ParsedPipeline> {
  const parsed = parseConfig(text, file);
  if (!parsed.ok) return parsed;
  const problems = createProblems(parsed.value);
  const top = asMap(parsed.value.value);
  refuse(top, problems);
  // Of the old format, and still written by many; it says nothing in 2.1.
  const written = asMap(top?.workflows);
  const workflows = written ? leaveOut(written, ['version']) : implied(top);
  const value = top && { ...leaveOut(top, ['orbs', 'setup']), ...(workflows ? { workflows } : {}) };
  const checked = checkShape(pipelineSchema, value, [], problems, known);
  if (checked === undefined || problems.hasErrors()) {
    return fail({ kind: 'diagnostics', diagnostics: problems.all() });
  }
  return ok({ file: parsed.value, written: checked });
}

/** Without workflows, CircleCI runs the job `build`. */
function implied(top: Record<string, unknown> | undefined): Record<string, unknown> | undefined {
  if (top?.workflows !== undefined || asMap(top?.jobs)?.build === undefined) return undefined;
  return { build: { jobs: ['build'] } };
}

/** What CircleCI knows and a rehearsal can't do is said as that, not as an unknown key. */
function refuse(top: Record<string, unknown> | undefined, problems: Problems): void {
  if (top?.orbs !== undefined) {
    problems.error('orbs', ['orbs'], 'orbs lie with CircleCI and are not fetched', {
      at: 'key',
      help: "'circleci config process' writes the config out without them: rehearse that",
    });
  }
  if (top?.setup === true) {
    problems.error('setup', ['setup'], 'a setup config makes another one at CircleCI', {
      at: 'key',
      help: 'rehearse the config that it continues with',
    });
  }
}

function leaveOut(map: Record<string, unknown>, keys: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !keys.includes(key)));
}

function known(path: Path): string[] {
  if (path.length === 0) return Object.keys(pipelineSchema.shape);
  return path.length === 2 ? (shapes[String(path[0])] ?? []) : [];
}
