// Gates: commands of the user's that decide, on the coordinator, whether a staged image may be published.
import type { GateConfig } from '../config/config.ts';
import { runProcess } from '../engine/process.ts';
import { fail, ok, type Result } from '../failure.ts';

/** Runs a gate with what it needs to know in its environment; a code other than 0 is a failure of kind `check`. */
export type RunGate = (
  gate: GateConfig,
  facts: Record<string, string>,
  onLine: (line: string) => void,
  signal: AbortSignal,
) => Promise<Result<void>>;

export function gateRunner(folder: string, env: Readonly<Record<string, string | undefined>>): RunGate {
  return async (gate, facts, onLine, signal) => {
    const end = await runProcess('sh', ['-c', gate.run], { env: { ...env, ...facts }, signal, onLine, cwd: folder });
    if (end.kind === 'cancelled') return fail({ kind: 'cancelled' });
    if (end.kind === 'missing') {
      return fail({ kind: 'system', message: `gate '${gate.name}' can't be run: ${end.message}`, where: folder });
    }
    if (end.exitCode === 0) return ok(undefined);
    return fail({
      kind: 'check',
      exitCode: end.exitCode,
      log: end.lines.slice(-25),
      message: `gate '${gate.name}' ended with ${end.exitCode}: the image is not published`,
      where: gate.run,
    });
  };
}
