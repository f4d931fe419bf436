// Property tests draw the same cases at each run, so that a red run is the fault of its change. SPLITBUILD_SEED=random (or a number) looks
// for others; a case that is found that way becomes a test of its own.
import fc from 'fast-check';

const { SPLITBUILD_SEED: seed = '20261125' } = process.env;
if (seed !== 'random') fc.configureGlobal({ seed: Number(seed) });
