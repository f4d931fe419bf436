#!/bin/bash
# Builds and publishes examples/quickstart on two builders, shows the result, and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }

# The builders: a Docker Engine that is running, or one started for the demo; and a second one of the demo's own.
if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
  say "The demo starts Docker Engines of its own, for which it needs Linux and root (in a container: --privileged)."
  exit 3
fi
bash scripts/setup.sh demo
. scripts/engines.sh

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
