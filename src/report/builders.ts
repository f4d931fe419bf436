// The builders of a run for people: which engine and client each is, what it builds natively and what it emulates.
import type { BuilderInfo } from '../run/event.ts';
import { paint } from './paint.ts';

/** A line a builder: `  here  docker 28.2 (…), native linux/amd64, emulated linux/arm64, 2 slots`. */
export function describeBuilders(builders: BuilderInfo[], color: boolean): string[] {
  const width = Math.max(0, ...builders.map(({ name }) => name.length));
  return builders.map(({ name, endpoint, engine, native, emulated, slots }) => {
    const parts = [
      endpoint === 'local' ? engine : `${endpoint}, ${engine}`,
      ...(native.length > 0 ? [`native ${native.join(' ')}`] : []),
      ...(emulated.length > 0 ? [paint('yellow', `emulated ${emulated.join(' ')}`, color)] : []),
      `${slots} ${slots === 1 ? 'slot' : 'slots'}`,
    ];
    return `  ${name.padEnd(width)}  ${parts.join(', ')}`;
  });
}
