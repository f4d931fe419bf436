// What docker and buildah are told of a build in the same words; each adds its own before it, and its way to hand over secrets after it.
import { formatPlatform } from '../image/platform.ts';
import type { BuildRequest } from './engine.ts';

export function commonBuildFlags(request: BuildRequest): string[] {
  return [
    '--platform',
    formatPlatform(request.platform),
    '--file',
    request.dockerfile,
    ...(request.reference ? ['--tag', request.reference] : ['--output', 'type=tar,dest=/dev/null']),
    ...(request.target ? ['--target', request.target] : []),
    ...(request.noCache ? ['--no-cache'] : []),
    ...Object.entries(request.args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ...Object.entries(request.labels ?? {}).flatMap(([name, value]) => ['--label', `${name}=${value}`]),
  ];
}
