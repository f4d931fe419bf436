#!/bin/bash
# npm run bench: installs the peers, starts what the measurements need (two Docker Engines and two BuildKits of one core each, a registry),
# and runs bench/main.ts, to which the arguments go: bench.sh [--only NAME]… [--rounds N]. SPLITBUILD_PROGRAM is measured instead of dist/cli.js.
set -euo pipefail
cd "$(dirname "$0")/.."
# At the end: buildctl, which splitbuild takes from there.
PATH=$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin:$PWD/.cache/bin

say() { printf '%s\n' "$*" >&2; }

# pin PID CORE: the process, its threads and those that it has started, on one core.
pin() {
  local pid
  taskset -apc "$2" "$1" > /dev/null
  for pid in $(pgrep -P "$1"); do pin "$pid" "$2"; done
}

# start_buildkit NAME CORE: a BuildKit on $work/NAME/buildkitd.sock.
start_buildkit() {
  local folder=$work/$1
  mkdir -p "$folder"
  printf '[registry."127.0.0.1:%s"]\n  http = true\n  insecure = true\n' "$port" > "$folder/buildkitd.toml"
  setsid taskset -c "$2" .cache/bin/buildkitd --config "$folder/buildkitd.toml" --root "$folder/data" --addr "unix://$folder/buildkitd.sock" \
    --oci-worker-net host --containerd-worker=false > "$folder/log" 2>&1 &
  pids+=($!)
  for _ in $(seq 100); do
    [ -S "$folder/buildkitd.sock" ] && .cache/bin/buildctl --addr "unix://$folder/buildkitd.sock" debug workers > /dev/null 2>&1 && return
    sleep 0.1
  done
  say "BuildKit did not start: $(tail -n 1 "$folder/log")"
  return 1
}

# start_bench_registry PORT: what bench/registry.ts starts, and $BENCH_REGISTRY and $BENCH_REGISTRY_NAME say.
start_bench_registry() {
  local name=$work/registry.name
  setsid node bench/registry.ts "$work/registry" "$1" > "$name" 2> "$name.log" &
  pids+=($!)
  until [ -s "$name" ]; do
    kill -0 "${pids[-1]}" 2> /dev/null || { tail -n 5 "$name.log" >&2; exit 3; }
    sleep 0.1
  done
  export BENCH_REGISTRY=127.0.0.1:$1 BENCH_REGISTRY_NAME=$(cat "$name")
}

port=5731
selected=$(node bench/main.ts --list "$@")
if grep -qvxE 'plan|emit|memory|start' <<< "$selected"; then bash scripts/peers.sh; fi
[ -n "${SPLITBUILD_PROGRAM:-}" ] || npm run --silent build

if grep -qxE 'family|family-others|family-bake|native|unchanged' <<< "$selected"; then
  if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ]; then
    bash scripts/setup.sh lab
    . scripts/engines.sh
    bash scripts/busybox.sh "$work/busybox"
    emulation_on
    last=$(($(nproc) - 1))
    start_engine one 10.213.73
    pin "${pids[-1]}" 0
    start_engine two 10.213.74
    pin "${pids[-1]}" "$last"
    start_bench_registry "$port"
    export BENCH_ENGINES="unix://$work/one/docker.sock unix://$work/two/docker.sock" BENCH_BUSYBOX=$work/busybox
    if [ -x .cache/bin/buildkitd ] && start_buildkit kit-one 0 && start_buildkit kit-two "$last"; then
      export BENCH_BUILDKITS="unix://$work/kit-one/buildkitd.sock unix://$work/kit-two/buildkitd.sock"
    fi
  else
    say "What needs Docker Engines is left out: it needs Linux and root."
  fi
fi
node bench/main.ts "$@"
