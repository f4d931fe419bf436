#!/bin/bash
# All tests. The lab's run on Linux as root, with what they need installed first; elsewhere they skip and say why.
# The last line is: N passed, N failed, N skipped
set -uo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin

if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  bash scripts/setup.sh lab || echo "The lab could not be set up; its tests skip." >&2
  bash scripts/busybox.sh .cache/busybox > /dev/null || echo "No busybox of other machines: what is tested with it skips." >&2
fi
[ -d node_modules ] || npm ci --no-audit --no-fund >&2 || exit 1
npm run --silent build || exit 1

results=$(mktemp)
trap 'rm -f "$results"' EXIT
node_modules/.bin/vitest run --reporter=default --reporter=json --outputFile.json="$results" "$@" < /dev/null
code=$?
node scripts/tally.mjs "$results" "$code"
