// `splitbuild simulate`: what if there were other builders, more slots, emulation, another chain, a family of ten thousand images.
import { resolve } from 'node:path';
import { fail, ok, type Result } from '../failure.ts';
import type { AssumedBuilder } from '../fleet/assume.ts';
import { archSuffix, formatPlatform, type Platform } from '../image/platform.ts';
import type { Past } from '../plan/estimate.ts';
import { makePlan } from '../plan/make-plan.ts';
import type { Plan } from '../plan/plan.ts';
import { makeScenarios, type Scenario, withEmulation, withMode } from '../plan/scenarios.ts';
import { syntheticPlan } from '../plan/synthetic.ts';
import { useOfBuilders } from '../report/forecast.ts';
import { compareScenarios, type ScenarioOutcome } from '../report/scenarios.ts';
import { type Forecast, forecast } from '../run/forecast.ts';
import { readHistory } from '../run/journal.ts';
import { interruptSignal, load, printFailure } from './load.ts';
import { expectedOf, forecastLines, knownBuilders } from './plan.ts';
import { type Question, readQuestion, type SimulateOptions } from './simulate-options.ts';

/** What the question is about. */
interface Subject {
  /** Those of the config; none for a family that nobody wrote. */
  existing: AssumedBuilder[];
  /** To be used instead. */
  builders?: AssumedBuilder[];
  past: Past;
  /** Nobody ever built it. */
  madeUp: boolean;
  config: Parameters<typeof expectedOf>[2];
  planFor(scenario: Pick<Scenario<AssumedBuilder>, 'mode' | 'chain'>): Result<Plan>;
}

interface Answer extends ScenarioOutcome {
  plan: Plan;
  builders: AssumedBuilder[];
  expected: Result<Forecast>;
}

export async function simulate(images: string[], options: SimulateOptions): Promise<number> {
  const question = readQuestion(options);
  if (!question.ok) return printFailure(question.failure);
  const subject = question.value.synthetic
    ? synthetic(images, question.value)
    : await configured(images, options, question.value);
  if (!subject.ok) return printFailure(subject.failure);
  const answers: Answer[] = [];
  const { existing, builders = question.value.builders } = subject.value;
  const asked = { ...question.value, ...(builders ? { builders } : {}) };
  const withSlots = (builder: AssumedBuilder, slots: number): AssumedBuilder => ({
    ...builder,
    slots,
    assumedSlots: false,
  });
  for (const scenario of makeScenarios(existing, asked, withSlots)) {
    const answer = await play(scenario, subject.value);
    if (!answer.ok) return printFailure(answer.failure);
    answers.push(answer.value);
  }
  const last = answers.at(-1);
  if (last && !last.expected.ok) return printFailure(last.expected.failure);
  if (options.json) printJson(answers, subject.value);
  else printText(answers, subject.value);
  return 0;
}

async function play(scenario: Scenario<AssumedBuilder>, subject: Subject): Promise<Result<Answer>> {
  const planned = subject.planFor(scenario);
  if (!planned.ok) return planned;
  const plan = withMode(planned.value, scenario.mode);
  const platforms = plan.tasks.flatMap((task) => (task.kind === 'publish' ? [] : [task.platform]));
  const builders = scenario.mode === 'emulated' ? withEmulation(scenario.builders, platforms) : scenario.builders;
  const expected = await forecast(plan, builders, subject.past);
  const answer = { name: scenario.name, plan, builders, expected };
  if (expected.ok) {
    const { schedule } = expected.value;
    return ok({ ...answer, schedule, uses: useOfBuilders(schedule, builders) });
  }
  const { failure } = expected;
  return ok({ ...answer, uses: [], reason: 'message' in failure ? failure.message : failure.kind });
}

async function configured(
  images: string[],
  options: SimulateOptions,
  { platforms }: Question,
): Promise<Result<Subject>> {
  const loaded = await load(images, options, interruptSignal());
  if (!loaded.ok) return loaded;
  const { config, family, plan } = loaded.value;
  const past = await readHistory(resolve(options.state, 'runs'), plan.family);
  return ok({
    ...{ existing: knownBuilders(loaded.value, past), past, madeUp: false, config },
    planFor: ({ chain }) =>
      chain === undefined || chain === config.chain
        ? ok(plan)
        : makePlan({ ...config, chain }, family, { images, platforms }),
  });
}

function synthetic(
  images: string[],
  { synthetic: asked, builders, platforms: given, ...question }: Question,
): Result<Subject> {
  const [image] = images;
  if (image !== undefined || !asked) {
    return fail({
      kind: 'usage',
      message: `--images makes a family of its own, which has no '${image}'`,
      help: 'leave one of them out',
    });
  }
  const known = builders?.flatMap(({ native }) => native) ?? [];
  const fallback = known.length > 0 ? known : [linux('amd64'), linux('arm64')];
  const platforms = [
    ...new Map((given.length > 0 ? given : fallback).map((one) => [formatPlatform(one), one])).values(),
  ];
  const family = { ...asked, platforms, mode: question.modes[0] ?? 'native' } as const;
  const { durations } = syntheticPlan({ ...family, chain: 'arch' });
  const oneEach = platforms.map((platform): AssumedBuilder => {
    return {
      name: archSuffix(platform),
      native: [platform],
      emulated: [],
      slots: 4,
      assumedPlatforms: true,
      assumedSlots: true,
    };
  });
  return ok({
    existing: [],
    madeUp: true,
    builders: builders ?? oneEach,
    past: { durations, samples: [] },
    config: { ci: {}, costs: {} },
    planFor: ({ chain = 'arch' }) => ok(syntheticPlan({ ...family, chain }).plan),
  });
}

function linux(architecture: string): Platform {
  return { os: 'linux', architecture };
}

function printJson(answers: Answer[], { config }: Subject): void {
  const scenarios = answers.map(({ name, plan, builders, expected }) => ({
    name,
    tasks: plan.tasks.length,
    ...(expected.ok ? expectedOf(builders, expected.value, config) : { failure: expected.failure }),
  }));
  process.stdout.write(`${JSON.stringify({ scenarios }, undefined, 2)}\n`);
}

/** The last scenario in full, and all of them side by side. */
function printText(answers: Answer[], { config, madeUp }: Subject): void {
  const last = answers.at(-1);
  const lines = [
    ...(last && answers.length > 1 ? [`${last.name}:`, ''] : []),
    ...(last?.expected.ok ? [...forecastLines(last.builders, last.expected.value, { ...config, madeUp }), ''] : []),
    ...compareScenarios(answers),
  ];
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
