// What the import reads of a CircleCI pipeline. It is lenient where CircleCI knows more than an import needs: an orb's step, a key
// that builds nothing.
import { z } from 'zod';
import { type Diagnostic, fail, ok, type Result } from '../../failure.ts';
import { type ParsedFile, type Path, parseConfig } from '../parse.ts';

const scalar = z
  .union([z.string(), z.number(), z.boolean(), z.null()])
  .transform((value) => (value === null ? '' : String(value)));
const textOrList = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === 'string' ? [value] : value));
const environment = z.union([z.record(z.string(), scalar), z.array(z.unknown()).transform(() => ({}))]).optional();
const parameters = z
  .record(z.string(), z.looseObject({ type: z.string().optional(), default: z.unknown().optional() }))
  .optional();
const filter = z.looseObject({ only: textOrList.optional(), ignore: textOrList.optional() });
const filters = z.looseObject({ branches: filter.optional(), tags: filter.optional() });
const step = z.union([z.string(), z.record(z.string(), z.unknown())]);
const executor = {
  docker: z.array(z.looseObject({ image: z.string(), environment })).optional(),
  machine: z
    .union([
      z.boolean(),
      z.string(),
      z.null(),
      z.looseObject({ image: z.string().optional(), resource_class: z.string().optional() }),
    ])
    .optional(),
  resource_class: z.string().optional(),
  working_directory: z.string().optional(),
  environment,
};
const job = z.looseObject({
  ...executor,
  executor: z.union([z.string(), z.looseObject({ name: z.string() })]).optional(),
  parameters,
  steps: z.array(step).optional(),
});
export const workflowJobSchema = z.looseObject({
  name: z.string().optional(),
  requires: z.array(z.union([z.string(), z.record(z.string(), z.unknown())])).optional(),
  filters: filters.optional(),
  context: textOrList.optional(),
  matrix: z
    .looseObject({
      parameters: z.record(z.string(), z.union([z.array(scalar), z.string()])),
      exclude: z.array(z.record(z.string(), scalar)).optional(),
      alias: z.string().optional(),
    })
    .optional(),
  type: z.string().optional(),
});
const workflow = z.looseObject({
  triggers: z
    .array(z.looseObject({ schedule: z.looseObject({ cron: z.string(), filters: filters.optional() }).optional() }))
    .optional(),
  jobs: z.array(z.union([z.string(), z.record(z.string(), workflowJobSchema.nullable())])),
});
const pipeline = z.looseObject({
  version: z.union([z.number(), z.string()]).optional(),
  orbs: z.record(z.string(), z.unknown()).optional(),
  commands: z.record(z.string(), z.looseObject({ parameters, steps: z.array(step) })).optional(),
  executors: z.record(z.string(), z.looseObject({ ...executor, parameters })).optional(),
  parameters,
  jobs: z.record(z.string(), job),
  workflows: z.record(z.string(), z.union([workflow, z.number(), z.string()])).optional(),
});

export type Pipeline = z.output<typeof pipeline>;
export type PipelineJob = z.output<typeof job>;
export type Executor = Pick<PipelineJob, keyof typeof executor>;
export type Step = z.output<typeof step>;
export type WorkflowJob = z.output<typeof workflowJobSchema>;
export type Filters = z.output<typeof filters>;
export type Workflow = z.output<typeof workflow>;

export interface ReadPipeline {
  pipeline: Pipeline;
  parsed: ParsedFile;
  /** Line of the value at a path; that of the nearest thing around it where there is none. */
  lineOf(path: Path): number;
}

/** Reads the file; the failure holds diagnostics at their places. */
export function readPipeline(text: string, file: string): Result<ReadPipeline> {
  const parsed = parseConfig(text, file);
  if (!parsed.ok) return parsed;
  const result = pipeline.safeParse(parsed.value.value);
  if (!result.success) {
    const diagnostics = result.error.issues.map((issue): Diagnostic => {
      const path = issue.path.map((step) => (typeof step === 'symbol' ? step.toString() : step));
      const what = path.length === 0 ? 'the pipeline' : `'${path.join('.')}'`;
      const help =
        path.length === 0
          ? 'a CircleCI pipeline has version, jobs and workflows'
          : "'circleci config validate' tells more";
      const location = parsed.value.locate(spanOf(parsed.value, path));
      return {
        code: 'circleci',
        severity: 'error',
        message: `${what} is not as CircleCI has it: ${issue.message}`,
        location,
        help,
      };
    });
    return fail({ kind: 'diagnostics', diagnostics });
  }
  const lineOf = (path: Path): number => parsed.value.locate(spanOf(parsed.value, path)).line;
  return ok({ pipeline: result.data, parsed: parsed.value, lineOf });
}

function spanOf(parsed: ParsedFile, path: Path): { start: number; end: number } {
  for (let length = path.length; length >= 0; length--) {
    const spot = parsed.spot(path.slice(0, length));
    if (spot) return length === path.length ? spot.value : (spot.key ?? spot.value);
  }
  return { start: 0, end: 1 };
}
