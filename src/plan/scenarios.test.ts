import { expect, test } from 'vitest';
import { makeScenarios, withEmulation } from './scenarios.ts';
import { amd64, arm64 } from './testing.ts';

const one = { name: 'one', native: [amd64], emulated: [], slots: 1 };
const asItIs = { slots: [], modes: [], chains: [] };
const withSlots = (builder: typeof one, slots: number): typeof one => ({ ...builder, slots });

test('what is there comes first, then every combination of what is varied', () => {
  const asked = { ...asItIs, slots: [2, 4], chains: ['arch', 'manifest'] as const };
  const scenarios = makeScenarios([one], { ...asked, chains: [...asked.chains] }, withSlots);
  expect(scenarios.map(({ name, builders, chain }) => [name, builders[0]?.slots, chain])).toEqual([
    ['as configured', 1, undefined],
    ['2 slots, chain arch', 2, 'arch'],
    ['4 slots, chain arch', 4, 'arch'],
    ['2 slots, chain manifest', 2, 'manifest'],
    ['4 slots, chain manifest', 4, 'manifest'],
  ]);
});

test('where nothing is varied there is what is there, or what is asked', () => {
  expect(makeScenarios([one], asItIs, withSlots).map(({ name }) => name)).toEqual(['as configured']);
  expect(makeScenarios([], { ...asItIs, builders: [one] }, withSlots).map(({ name }) => name)).toEqual(['as asked']);
  expect(makeScenarios([one], { ...asItIs, builders: [one] }, withSlots).map(({ name }) => name)).toEqual([
    ...['as configured', 'other builders'],
  ]);
});

test('with emulation a builder does what it is not native for', () => {
  expect(withEmulation([one], [amd64, arm64, arm64])).toEqual([{ ...one, emulated: [arm64] }]);
});
