// What `splitbuild simulate` is asked, checked: texts of the command line become builders, numbers and choices.
import { fail, ok, type Result } from '../failure.ts';
import type { AssumedBuilder } from '../fleet/assume.ts';
import { type Platform, parsePlatforms } from '../image/platform.ts';
import type { Chain, Mode } from '../plan/scenarios.ts';
import type { FamilyOptions } from './load.ts';

export interface SimulateOptions extends FamilyOptions {
  builder: string[];
  slots?: string | undefined;
  mode?: string | undefined;
  chain?: string | undefined;
  images?: string | undefined;
  depth: string;
  fanOut: string;
  duration: string;
}

export interface Question {
  builders?: AssumedBuilder[];
  slots: number[];
  modes: Mode[];
  chains: Chain[];
  /** Of `--platform`. */
  platforms: Platform[];
  /** A family of so many images that nobody wrote. */
  synthetic?: { images: number; depth: number; fanOut: number; buildMs: number };
}

/** More would be a slip of the keyboard; it takes minutes and gigabytes as it is. */
const mostImages = 1_000_000;

export function readQuestion(options: SimulateOptions): Result<Question> {
  const builders: AssumedBuilder[] = [];
  for (const text of options.builder) {
    const builder = readBuilder(text);
    if (!builder.ok) return builder;
    if (builders.some(({ name }) => name === builder.value.name)) {
      return usage(`--builder ${text}: there is another '${builder.value.name}'`, 'give each a name of its own');
    }
    builders.push(builder.value);
  }
  const slots = readNumbers('--slots', options.slots);
  if (!slots.ok) return slots;
  const modes = readChoices('--mode', options.mode, ['native', 'emulated'] as const);
  if (!modes.ok) return modes;
  const chains = readChoices('--chain', options.chain, ['arch', 'manifest'] as const);
  if (!chains.ok) return chains;
  const platforms = parsePlatforms(options.platform);
  if (!platforms.ok) return platforms;
  const synthetic = readSynthetic(options);
  if (!synthetic.ok) return synthetic;
  return ok({
    ...(builders.length > 0 ? { builders } : {}),
    ...{ slots: slots.value, modes: modes.value, chains: chains.value, platforms: platforms.value },
    ...(synthetic.value ? { synthetic: synthetic.value } : {}),
  });
}

/** `name=platform[+platform…][,slots[,speed]]`. */
function readBuilder(text: string): Result<AssumedBuilder> {
  const help = 'write --builder arm=linux/arm64,4 or --builder old=linux/amd64+linux/386,2,0.5';
  const match = /^([A-Za-z0-9][\w.-]*)=([^,]+)(?:,(\d+))?(?:,(\d+(?:\.\d+)?))?$/.exec(text);
  if (!match) return usage(`--builder ${text} is not name=platform[,slots[,speed]]`, help);
  const [, name = '', platforms = '', slots = '4', speed] = match;
  const native = parsePlatforms(platforms.split('+'));
  if (!native.ok) return native;
  if (Number(slots) < 1 || (speed !== undefined && Number(speed) <= 0)) {
    return usage(`--builder ${text} would never do anything`, help);
  }
  return ok({
    ...{ name, native: native.value, emulated: [], slots: Number(slots), assumedPlatforms: false },
    assumedSlots: match[3] === undefined,
    ...(speed === undefined ? {} : { speed: Number(speed) }),
  });
}

function readSynthetic(options: SimulateOptions): Result<Question['synthetic'] | undefined> {
  if (options.images === undefined) return ok(undefined);
  const numbers: number[] = [];
  for (const [name, text] of [
    ['--images', options.images],
    ['--depth', options.depth],
    ['--fan-out', options.fanOut],
    ['--duration', options.duration],
  ] as const) {
    const number = readNumber(name, text);
    if (!number.ok) return number;
    numbers.push(number.value);
  }
  const [images = 1, depth = 1, fanOut = 1, seconds = 1] = numbers;
  if (images > mostImages) return usage(`--images ${images} is more than ${mostImages}`, 'ask for fewer');
  return ok({ images, depth, fanOut, buildMs: seconds * 1000 });
}

function readNumbers(option: string, text: string | undefined): Result<number[]> {
  const numbers: number[] = [];
  for (const part of text?.split(',') ?? []) {
    const number = readNumber(option, part.trim());
    if (!number.ok) return number;
    numbers.push(number.value);
  }
  return ok(numbers);
}

function readNumber(option: string, text: string): Result<number> {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && Number.isSafeInteger(number)) return ok(number);
  return usage(`${option} ${text} is not a whole number from 1`, `write ${option} 4`);
}

function readChoices<const Choice extends string>(
  option: string,
  text: string | undefined,
  choices: readonly Choice[],
): Result<Choice[]> {
  const chosen: Choice[] = [];
  for (const part of text?.split(',') ?? []) {
    const choice = choices.find((one) => one === part.trim());
    if (choice === undefined) {
      return usage(
        `${option} ${part} is none of ${choices.join(', ')}`,
        `write one, or both as ${option} ${choices.join(',')}`,
      );
    }
    chosen.push(choice);
  }
  return ok(chosen);
}

function usage(message: string, help: string): Result<never> {
  return fail({ kind: 'usage', message, help });
}
