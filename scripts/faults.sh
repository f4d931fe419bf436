#!/bin/bash
# Breaks engines, networks, the registry, the disk and splitbuild itself while a family is built, and checks that nothing is lost:
# faults.sh [--schedules N] [--seed S] [--only K]; in a simulated world, on a virtual clock: faults.sh --simulated N [--seed S]
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin

case " $* " in
  *" --simulated"*)
    [ -d node_modules ] || npm ci --no-audit --no-fund >&2
    exec node test/faults/simulate-main.ts "$@"
    ;;
esac

if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  bash scripts/setup.sh lab || echo "The lab could not be set up." >&2
  bash scripts/busybox.sh .cache/faults/busybox
fi
[ -d node_modules ] || npm ci --no-audit --no-fund >&2
npm run --silent build
exec node test/faults/main.ts "$@"
