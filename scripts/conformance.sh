#!/bin/bash
# Runs the OCI distribution-spec's own conformance suites on a registry: conformance.sh [HOST:PORT [FOLDER]]
# Without HOST:PORT it is `splitbuild registry serve`, started for it on an empty folder. Reports (JUnit) go below FOLDER. Ends with 3 where
# a suite can't be built: no Go, or no way to its modules.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
bin=$PWD/.cache/bin

# The suite of today, which tests spec 1.1 and what comes after it; and the last of the one before it, which counts by workflow: pull, push,
# content discovery, content management.
module=github.com/opencontainers/distribution-spec/conformance
today=v0.0.0-20260831232431-97274622c111
workflows=v0.0.0-20231101194043-f2182352d4cc

build() {
  command -v go > /dev/null || { echo "Go is not installed, and the conformance suites are built with it" >&2; exit 3; }
  mkdir -p "$bin"
  log=$(mktemp)
  if [ ! -x "$bin/oci-conformance-$today" ]; then
    echo "Building $module@$today" >&2
    work=$(mktemp -d)
    GOBIN=$work timeout 600 go install "$module@$today" > "$log" 2>&1 || { tail -n 5 "$log" >&2; exit 3; }
    mv "$work/conformance" "$bin/oci-conformance-$today"
    rmdir "$work"
  fi
  if [ ! -x "$bin/oci-conformance-$workflows" ]; then
    echo "Building $module@$workflows" >&2
    folder=$(go mod download -json "$module@$workflows" 2> "$log" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    [ -n "$folder" ] || { cat "$log" >&2; echo "$module can't be downloaded" >&2; exit 3; }
    (cd "$folder" && timeout 600 go test -c -o "$bin/.oci-conformance-$workflows" . > "$log" 2>&1) || { tail -n 5 "$log" >&2; exit 3; }
    mv "$bin/.oci-conformance-$workflows" "$bin/oci-conformance-$workflows"
  fi
  rm -f "$log"
}

build
scratch=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; wait "$server" || true; fi; rm -rf "$scratch"' EXIT
address=${1:-}
mkdir -p "${2:-$scratch/results}"
results=$(cd "${2:-$scratch/results}" && pwd)
if [ -z "$address" ]; then
  address=127.0.0.1:${PORT:-5555}
  node src/cli/main.ts registry serve --state "$scratch/state" --listen "$address" > "$scratch/server" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    if grep -q Serving "$scratch/server"; then break; fi
    kill -0 "$server" 2> /dev/null || { cat "$scratch/server" >&2; server=; exit 1; }
    sleep 0.1
  done
fi

# A suite's output is long: what it ended with is shown, and all of it where it failed.
failed=0
run() {
  local name=$1
  shift
  mkdir -p "$results/$name"
  if env "$@" > "$results/$name/output" 2>&1; then
    echo "$name: passed"
  else
    cat "$results/$name/output" >&2
    echo "$name: failed"
    failed=1
  fi
}
for version in 1.1 dev; do
  run "spec-$version" -C "$results/spec-$version" OCI_VERSION="$version" OCI_TLS=disabled OCI_REGISTRY="$address" \
    OCI_REPO1="conformance-$version/one" OCI_REPO2="conformance-$version/two" \
    OCI_RESULTS_DIR="$results/spec-$version" "$bin/oci-conformance-$today"
done
run workflows -C "$results/workflows" OCI_ROOT_URL="http://$address" OCI_NAMESPACE=workflows/one OCI_CROSSMOUNT_NAMESPACE=workflows/two \
  OCI_TEST_PULL=1 OCI_TEST_PUSH=1 OCI_TEST_CONTENT_DISCOVERY=1 OCI_TEST_CONTENT_MANAGEMENT=1 \
  OCI_REPORT_DIR="$results/workflows" "$bin/oci-conformance-$workflows"
exit $failed
