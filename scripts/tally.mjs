// Prints `N passed, N failed, N skipped` of Vitest's JSON report, and exits with 1 if anything failed: tally.mjs REPORT EXIT-CODE
// With SPLITBUILD_REQUIRE_LAB=1 a skipped test is a failure: a machine that is there to run the lab must not pass without it. The OCI's
// suites are there where Go is, or can be fetched, and are excused.
import { readFileSync } from 'node:fs';

const [file = '', code = '1'] = process.argv.slice(2);
const count = { passed: 0, failed: 0, skipped: 0 };
let excused = 0;
const text = readFileSync(file, 'utf8');
for (const suite of text === '' ? [] : JSON.parse(text).testResults) {
  // A file that can't even be loaded has no tests to count.
  if (suite.status === 'failed' && suite.assertionResults.length === 0) count.failed += 1;
  for (const { status } of suite.assertionResults) {
    if (status === 'passed') count.passed += 1;
    else if (status === 'failed') count.failed += 1;
    else {
      count.skipped += 1;
      if (suite.name.endsWith('/conformance.test.ts')) excused += 1;
    }
  }
}
// Vitest fails for more than tests: an unhandled rejection, for one.
if (code !== '0' && count.failed === 0) count.failed = 1;
const labMissing = process.env.SPLITBUILD_REQUIRE_LAB === '1' && count.skipped > excused;
if (labMissing) {
  console.error(`${count.skipped - excused} tests were skipped, and here they must run (SPLITBUILD_REQUIRE_LAB=1).`);
  count.failed += count.skipped - excused;
  count.skipped = excused;
}
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`);
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0;
