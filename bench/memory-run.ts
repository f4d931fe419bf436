// The run whose memory bench/memory.ts measures: a thousand images on simulated engines. Prints the most bytes that the process had.
// memory-run.ts LINES-A-BUILD
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import v8 from 'node:v8';
import { createSimulatedEngine } from '../src/engine/simulated.ts';
import { ok } from '../src/failure.ts';
import { assembleFleet } from '../src/fleet/fleet.ts';
import { usualHealth } from '../src/fleet/health.ts';
import { sha256 } from '../src/image/digest.ts';
import type { Platform } from '../src/image/platform.ts';
import { syntheticPlan } from '../src/plan/synthetic.ts';
import { rememberedRegistry } from '../src/registry/remembered.ts';
import { createSimulatedRegistry } from '../src/registry/simulated.ts';
import { createReporter } from '../src/report/choose.ts';
import type { RunContext } from '../src/run/context.ts';
import type { Event } from '../src/run/event.ts';
import { execute } from '../src/run/execute.ts';
import { openJournal, replayHistory } from '../src/run/journal.ts';
import { createVirtualClock } from '../src/virtual-clock.ts';

const images = 1_000;

async function runFamily(each: number): Promise<void> {
  const platforms: Platform[] = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
  const { plan, durations } = syntheticPlan({
    ...{ images, platforms, depth: 4, fanOut: 3, chain: 'arch', mode: 'native', buildMs: 60_000 },
  });
  const folder = mkdtempSync(join(tmpdir(), 'splitbuild-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const clock = createVirtualClock(0, () => 0.5);
  const registry = createSimulatedRegistry();
  const never = new AbortController().signal;
  const text = 'x'.repeat(99);
  const fleet = await clock.run(
    assembleFleet(
      platforms.map((platform, at) => ({
        name: `b${at}`,
        endpoint: `sim://b${at}`,
        open: async () => {
          const engine = createSimulatedEngine({
            ...{ name: `b${at}`, machine: platform, cpus: 8, clock, registry: registry.client() },
            onBuild: () => ({ durationMs: 60_000 }),
            onRun: () => undefined,
          });
          const info = await engine.probe(never);
          if (!info.ok) return info;
          const talking = {
            ...engine,
            build: async (...[request, onLine, signal]: Parameters<typeof engine.build>) => {
              for (let line = 0; line < each; line += 1) onLine(`#7 ${line} ${text}`);
              return engine.build(request, onLine, signal);
            },
          };
          return ok({
            builder: {
              ...{ name: `b${at}`, endpoint: `sim://b${at}`, engine: talking, info: info.value, native: [platform] },
              ...{ emulated: [], slots: 8, registryAddress: 'r.example' },
            },
            close: async () => undefined,
          });
        },
      })),
      platforms.map((platform) => ({ platform, mode: 'native' })),
      { clock, health: usualHealth },
      never,
    ),
  );
  if (!fleet.ok) throw new Error(JSON.stringify(fleet.failure));
  const journal = openJournal(folder, 'run');
  if (!journal.ok) throw new Error(JSON.stringify(journal.failure));
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reporter = createReporter({
    json: false,
    isTTY: false,
    env: {},
    stdout: nowhere,
    stderr: nowhere,
    verbose: true,
  });
  const emit = (event: Event): void => {
    journal.value.append(event);
    reporter.event(event);
  };
  const context: RunContext = {
    ...{ id: 'run', shared: false, registryAddress: 'r.example', plainHttp: true, embedded: false, force: false },
    ...{ registry: rememberedRegistry(registry.client()), fleet: fleet.value, emit, clock, env: {} },
    readInputs: async ({ image }) => ok({ dockerfile: `FROM ${image}\n`, ignore: undefined, context: sha256(image) }),
    audit: async () => ok([]),
    runGate: async () => ok(undefined),
  };
  const history = replayHistory([], plan.family);
  for (const [task, ms] of Object.entries(durations)) history.durations[task] = ms;
  const outcome = await clock.run(execute(plan, context, history, never, { publish: true, build: true }));
  reporter.close();
  journal.value.close();
  if (outcome !== 'done') throw new Error(outcome);
  process.stdout.write(`${process.resourceUsage().maxRSS * 1024}\n`);
}

// As the build command has it.
v8.setFlagsFromString('--semi-space-growth-factor=1');
await runFamily(Number(process.argv[2]));
