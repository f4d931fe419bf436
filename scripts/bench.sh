#!/bin/bash
# Measures what splitbuild adds to the engine's own time: see bench/overhead.ts. Rounds: bench.sh [N]
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
  say "The benchmark starts a Docker Engine and a registry of its own, for which it needs Linux and root."
  exit 3
fi
bash scripts/setup.sh lab
. scripts/engines.sh
bash scripts/busybox.sh "$work/busybox"
npm run --silent build
start_engine one 10.213.73
start_registry 5731
node bench/overhead.ts --engine "unix://$work/one/docker.sock" --registry 127.0.0.1:5731 --busybox "$work/busybox" --rounds "${1:-5}"
