#!/bin/bash
# Builds and publishes examples/quickstart on two builders, shows the result, and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

# The builders: a Docker Engine that is running, or one started for the demo; and a second one of the demo's own.
if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
  say "The demo starts Docker Engines of its own, for which it needs Linux and root (in a container: --privileged)."
  exit 3
fi
bash scripts/setup.sh demo
. scripts/emulation.sh

work=$(mktemp -d /var/tmp/splitbuild-demo.XXXXXX)
bridges=()
pids=()

finish() {
  local code=$?
  trap - EXIT
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  for pid in "${pids[@]}"; do
    for _ in $(seq 100); do kill -0 "$pid" 2> /dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2> /dev/null || true
  done
  for bridge in "${bridges[@]}"; do ip link delete "$bridge" 2> /dev/null || true; done
  emulation_off || true
  { findmnt -rno TARGET | grep "^$work/" | sort -r | xargs -r umount; } 2> /dev/null || true
  rm -rf "$work"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# start_engine NAME SUBNET: a Docker Engine with its own folders and its own bridge, on $work/NAME/docker.sock.
start_engine() {
  local name=$1 subnet=$2 folder=$work/$1 bridge=sb-$1
  mkdir -p "$folder"
  ip link delete "$bridge" 2> /dev/null || true
  ip link add "$bridge" type bridge
  bridges+=("$bridge")
  ip address add "$subnet.1/24" dev "$bridge"
  ip link set "$bridge" up
  # A session of its own: a Ctrl-C in the terminal is for the demo, which then stops the engine.
  setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" --host "unix://$folder/docker.sock" \
    --bridge "$bridge" --iptables=false --ip-masq=false > "$folder/log" 2>&1 &
  pids+=($!)
  for _ in $(seq 300); do
    if [ -S "$folder/docker.sock" ] && /usr/bin/env docker --host "unix://$folder/docker.sock" version > /dev/null 2>&1; then return; fi
    kill -0 "${pids[-1]}" 2> /dev/null || break
    sleep 0.1
  done
  say "dockerd did not start:"
  tail -n 15 "$folder/log" >&2
  exit 3
}

emulation_on
bash scripts/busybox.sh examples/quickstart/base
[ -e dist/cli.js ] && [ -z "$(find src scripts/bundle.mjs package.json -newer dist/cli.js -print -quit)" ] || npm run --silent build

if docker version > /dev/null 2>&1; then
  say "Using the Docker Engine that is running, and a second one that is started for the demo."
  first=local
else
  say "No Docker Engine is running: two are started for the demo."
  start_engine one 10.213.71
  first=unix://$work/one/docker.sock
fi
start_engine two 10.213.72
second=unix://$work/two/docker.sock

state=examples/quickstart/.splitbuild
say ""
node dist/cli.js build --config examples/quickstart/splitbuild.yaml --state "$state" --builder "one=$first" --builder "two=$second" "$@"
say ""
node dist/cli.js verify quickstart/app:latest --state "$state" --platform linux/amd64 --platform linux/386 --platform linux/arm64
node dist/cli.js inspect quickstart/app:latest --state "$state"
cat << END

The images are in $state/registry, one OCI image layout a repository. To look at them:
  npx splitbuild inspect quickstart/web:latest --state $state
  npx splitbuild registry serve --state $state      # and then, elsewhere:
    docker run --rm 127.0.0.1:5000/quickstart/app
    skopeo inspect --raw --tls-verify=false docker://127.0.0.1:5000/quickstart/app
The journal of the run is in $state/runs.
END
