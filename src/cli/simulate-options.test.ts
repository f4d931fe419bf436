import { expect, test } from 'vitest';
import { readQuestion, type SimulateOptions } from './simulate-options.ts';

const usual: SimulateOptions = {
  ...{ config: 'splitbuild.yaml', set: [], platform: [], state: '.splitbuild', builder: [] },
  ...{ depth: '5', fanOut: '3', duration: '60' },
};

test('builders are read with their platforms, slots and speed', () => {
  const question = readQuestion({ ...usual, builder: ['old=linux/amd64+386,2,0.5', 'arm=linux/aarch64'] });
  expect(question).toMatchObject({
    ok: true,
    value: {
      builders: [
        {
          name: 'old',
          slots: 2,
          speed: 0.5,
          assumedSlots: false,
          native: [{ architecture: 'amd64' }, { architecture: '386' }],
        },
        { name: 'arm', slots: 4, assumedSlots: true, native: [{ os: 'linux', architecture: 'arm64' }] },
      ],
    },
  });
});

test.each([
  [{ builder: ['arm'] }, /--builder arm is not name=platform/],
  [{ builder: ['a=linux/amd64,0'] }, /never do anything/],
  [{ builder: ['a=linux/amd64,1,0'] }, /never do anything/],
  [{ builder: ['a=amd64', 'a=arm64'] }, /another 'a'/],
  [{ builder: ['a=li nux'] }, /not a platform/],
  [{ slots: '2,x' }, /--slots x is not a whole number/],
  [{ slots: '0' }, /--slots 0/],
  [{ mode: 'fast' }, /--mode fast is none of native, emulated/],
  [{ chain: 'arch,none' }, /--chain none/],
  [{ images: '1e3' }, /--images 1e3/],
  [{ images: '2000000' }, /more than 1000000/],
  [{ images: '5', fanOut: '-1' }, /--fan-out -1/],
] as const)('%j is refused, in words that say what to write', (options, message) => {
  const builder = 'builder' in options ? [...options.builder] : [];
  const question = readQuestion({ ...usual, ...options, builder });
  expect(question).toMatchObject({
    ok: false,
    failure: { kind: 'usage', message: expect.stringMatching(message), help: expect.stringMatching(/\w/) },
  });
});
