// What may stand in a CircleCI 2.1 config that can be rehearsed: shapes only, before any `<< parameter >>` has its value.
// Source: https://circleci.com/docs/configuration-reference/ and https://circleci.com/docs/reusing-config/.
import { z } from 'zod';

const text = z.string();
const scalar = z.union([text, z.number(), z.boolean()]);
/** A single text, or a list of them. */
const texts = z.union([text, z.array(text)]);
const names = z.record(text, z.unknown());

const parameterSchema = z.strictObject({
  type: text,
  default: z.unknown().optional(),
  enum: z.array(scalar).optional(),
  description: text.optional(),
});
const parametersSchema = z.record(text, parameterSchema);
/** `checkout`, or a map of one key. */
const stepSchema = z.union([text, names]);
const stepsSchema = z.array(stepSchema);

const machineShape = {
  docker: z.array(z.looseObject({ image: text })).optional(),
  machine: z.unknown().optional(),
  resource_class: text.optional(),
  environment: names.optional(),
  working_directory: text.optional(),
  shell: text.optional(),
};
export const executorSchema = z.strictObject({
  ...machineShape,
  description: text.optional(),
  parameters: parametersSchema.optional(),
});
export const commandSchema = z.strictObject({
  description: text.optional(),
  parameters: parametersSchema.optional(),
  steps: stepsSchema,
});
export const jobSchema = z.strictObject({
  ...machineShape,
  description: text.optional(),
  parameters: parametersSchema.optional(),
  executor: z.union([text, z.looseObject({ name: text })]).optional(),
  parallelism: scalar.optional(),
  circleci_ip_ranges: scalar.optional(),
  steps: stepsSchema,
});

const gitFilter = z.strictObject({ only: texts.optional(), ignore: texts.optional() });
export const filtersSchema = z.strictObject({ branches: gitFilter.optional(), tags: gitFilter.optional() });
export type Filters = z.output<typeof filtersSchema>;

/** What a job may have in a workflow besides its parameters. */
export const workflowJobShape = {
  requires: z.array(z.union([text, z.record(text, texts)])).optional(),
  name: text.optional(),
  context: texts.optional(),
  type: text.optional(),
  filters: filtersSchema.optional(),
  'pre-steps': stepsSchema.optional(),
  'post-steps': stepsSchema.optional(),
  'serial-group': text.optional(),
};
export const workflowJobSchema = z.looseObject(workflowJobShape);

export const workflowSchema = z.strictObject({
  jobs: z.array(z.union([text, names])),
  triggers: z
    .array(z.strictObject({ schedule: z.strictObject({ cron: text, filters: filtersSchema.optional() }) }))
    .optional(),
  when: z.unknown().optional(),
  unless: z.unknown().optional(),
  max_auto_reruns: z.number().optional(),
});

export const pipelineSchema = z.strictObject({
  version: z.union([z.literal(2.1), z.literal('2.1')]),
  parameters: parametersSchema.optional(),
  executors: z.record(text, executorSchema).optional(),
  commands: z.record(text, commandSchema).optional(),
  jobs: z.record(text, jobSchema),
  workflows: z.record(text, workflowSchema),
});

export type WrittenPipeline = z.output<typeof pipelineSchema>;
export type WrittenParameters = z.output<typeof parametersSchema>;
export type WrittenMachine = Pick<z.output<typeof executorSchema>, keyof typeof machineShape>;
export type WrittenStep = z.output<typeof stepSchema>;

/** Arguments of the steps that CircleCI brings, after substitution. Those of the others are not looked at. */
/** A parameter that is the whole text brings its own type. */
const filled = scalar.transform(String);
const when = z.enum(['on_success', 'always', 'on_fail']).optional();
const environment = z.record(text, z.union([scalar, z.null()])).optional();
export const stepSchemas = {
  run: z.strictObject({
    command: filled,
    name: filled.optional(),
    shell: filled.optional(),
    environment,
    working_directory: filled.optional(),
    background: z.boolean().optional(),
    when,
    no_output_timeout: scalar.optional(),
    max_auto_reruns: z.number().optional(),
    auto_rerun_delay: scalar.optional(),
  }),
  checkout: z.strictObject({ path: filled.optional(), name: filled.optional(), method: filled.optional(), when }),
  setup_remote_docker: z.strictObject({
    version: scalar.optional(),
    docker_layer_caching: z.boolean().optional(),
    name: filled.optional(),
    reusable: z.boolean().optional(),
  }),
  persist_to_workspace: z.strictObject({
    root: filled,
    paths: z.union([filled, z.array(filled)]),
    name: filled.optional(),
    when,
  }),
  attach_workspace: z.strictObject({ at: filled, name: filled.optional(), when }),
  conditional: z.strictObject({ condition: z.unknown(), steps: stepsSchema }),
};

/** Steps that a rehearsal only tells of: what they keep or fetch lies with CircleCI. */
export const toldSteps = ['store_artifacts', 'store_test_results', 'save_cache', 'restore_cache', 'add_ssh_keys'];
export const ownSteps = [...Object.keys(stepSchemas).filter((name) => name !== 'conditional'), 'when', 'unless'].concat(
  toldSteps,
);
